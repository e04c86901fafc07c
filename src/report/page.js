/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Search, sort and fold. Without it the page shows all the same. */
'use strict';
(() => {
	const tables = [...document.querySelectorAll('table.rows')].map((table) => ({
		table,
		body: table.tBodies[0],
		rows: [...table.tBodies[0].rows],
	}));

	/* ---- Search ---- */

	const search = document.getElementById('search');
	const input = search.querySelector('input');
	const output = search.querySelector('output');
	let texts = null;

	const showMatches = () => {
		const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
		let found = 0;
		/* Read once: the text of thousands of rows. */
		texts = texts || tables.map(({rows}) => rows.map((row) => row.textContent.toLowerCase()));
		tables.forEach(({table, rows}, i) => {
			table.classList.toggle('searched', words.length > 0);
			rows.forEach((row, j) => {
				const matches = words.every((word) => texts[i][j].includes(word));
				row.hidden = !matches;
				found += matches;
			});
		});
		output.textContent = words.length ? found + (found === 1 ? ' row' : ' rows') : '';
	};
	search.hidden = false;
	input.addEventListener('input', showMatches);

	/* ---- Sort ---- */

	/* Without the branches of the tree, and the button that folds them. */
	const textOf = (cell) => [...cell.childNodes].filter(
		(node) => !(node instanceof Element && node.matches('.tree, .fold'))
	).map((node) => node.textContent).join('');

	/* A cell without a value comes last, whatever the direction is. */
	const valueOf = (row, column) => {
		const cell = row.cells[column];
		if (!cell || cell.classList.contains('absent'))
			return null;
		const text = cell.dataset.v === undefined ? textOf(cell) : cell.dataset.v;
		if (cell.classList.contains('number') || cell.dataset.v !== undefined) {
			try {
				return BigInt(text);
			} catch (error) {
				return Number(text);
			}
		}
		return text;
	};

	const compare = (a, b) => {
		if (typeof a === 'string' || typeof b === 'string') {
			a = String(a);
			b = String(b);
		}
		return a < b ? -1 : a > b ? 1 : 0;
	};

	const sort = ({table, body, rows}, column, direction) => {
		let sorted = rows;
		if (direction) {
			sorted = rows.map((row) => [valueOf(row, column), row]).sort(([a], [b]) => {
				if (a === null || b === null)
					return (a === null) - (b === null);
				return direction * compare(a, b);
			}).map(([, row]) => row);
		}
		table.classList.toggle('sorted', direction !== 0);
		body.append(...sorted);
	};

	const addButtons = (entry) => {
		const heads = [...entry.table.tHead.rows[0].cells];
		heads.forEach((head, column) => {
			const button = document.createElement('button');
			button.type = 'button';
			button.append(...head.childNodes);
			head.append(button);
			/* Up, down, then as the page has it. */
			button.addEventListener('click', () => {
				const next = {ascending: -1, descending: 0}[head.ariaSort];
				const direction = next === undefined ? 1 : next;
				heads.forEach((other) => other.removeAttribute('aria-sort'));
				if (direction)
					head.ariaSort = direction > 0 ? 'ascending' : 'descending';
				sort(entry, column, direction);
			});
		});
	};
	tables.forEach(addButtons);

	/* ---- Fold branches of the tree ---- */

	const tree = tables.find(({table}) => table.dataset.view === 'processes');
	const depths = tree ? tree.rows.map((row) => Number(row.dataset.depth)) : [];
	const folded = new Set();

	const showBranches = () => {
		let hiddenBelow = Infinity;
		tree.rows.forEach((row, i) => {
			if (depths[i] <= hiddenBelow)
				hiddenBelow = Infinity;
			row.classList.toggle('folded', hiddenBelow !== Infinity);
			if (folded.has(i) && hiddenBelow === Infinity)
				hiddenBelow = depths[i];
		});
	};

	depths.forEach((depth, i) => {
		if (!(depths[i + 1] > depth))
			return;
		const button = document.createElement('button');
		const show = () => {
			button.textContent = folded.has(i) ? '▸' : '▾';
			button.ariaExpanded = String(!folded.has(i));
		};
		button.type = 'button';
		button.className = 'fold';
		button.title = 'fold or unfold its children';
		button.addEventListener('click', () => {
			if (!folded.delete(i))
				folded.add(i);
			show();
			showBranches();
		});
		show();
		tree.rows[i].cells[1].prepend(button);
	});

	/* ---- Links and print ---- */

	/* What a link leads to is not to be hidden. */
	const unfoldTarget = () => {
		const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
		if (!target)
			return;
		if (target.hidden) {
			input.value = '';
			showMatches();
		}
		if (target.classList.contains('folded')) {
			folded.clear();
			tree.table.querySelectorAll('.fold').forEach((button) => {
				button.textContent = '▾';
				button.ariaExpanded = 'true';
			});
			showBranches();
		}
		const details = target.closest('details') || target.querySelector('details');
		if (details)
			details.open = true;
		target.scrollIntoView();
	};
	addEventListener('hashchange', unfoldTarget);

	let closed = [];
	addEventListener('beforeprint', () => {
		closed = [...document.querySelectorAll('details:not([open])')];
		closed.forEach((details) => { details.open = true; });
	});
	addEventListener('afterprint', () => {
		closed.forEach((details) => { details.open = false; });
	});
})();
