/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs a fuzz target over each file of its corpus: so that a bug that libFuzzer found does not
 * return unnoticed. Fails if the corpus is missing or empty.
 */
#include "core/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat st;
	size_t size;

	if (!file || fstat(fileno(file), &st)) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	size = (size_t)st.st_size;
	/* Exactly as large as the input, so that a sanitizer sees every overrun. */
	_cleanup_free_ uint8_t *data = malloc(size ? size : 1);
	if (!data || fread(data, 1, size, file) != size) {
		fprintf(stderr, "%s: cannot be read\n", path);
		fclose(file);
		return -1;
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	return 0;
}

int main(int argc, char **argv)
{
	struct dirent *entry;
	size_t count = 0;
	DIR *dir;

	if (argc != 2 || !(dir = opendir(argv[1]))) {
		fprintf(stderr, "usage: %s CORPUS-DIRECTORY\n", argv[0]);
		return 1;
	}
	while ((entry = readdir(dir))) {
		char path[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
		if (replay_file(path)) {
			closedir(dir);
			return 1;
		}
		count++;
	}
	closedir(dir);
	printf("replayed %zu inputs\n", count);
	return count ? 0 : 1;
}
