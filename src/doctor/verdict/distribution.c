/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands are written for Debian and Ubuntu; another distribution has others for the same. */
#include "doctor/verdict/diagnosis.h"

#include "core/buffer.h"

#include <string.h>

enum family { DEBIAN, FEDORA, SUSE, ARCH, FAMILIES };

static const char *const family_names[FAMILIES] = {"debian", "fedora", "suse", "arch"};

/* One that begins with another stands before it. */
static const char *const commands[][FAMILIES] = {
    {"sudo apt install qemu-system-xen || sudo apt install qemu-system-x86",
     "sudo dnf install qemu-system-x86", "sudo zypper install qemu-x86",
     "sudo pacman -S qemu-system-x86"},
    {"sudo apt install qemu-system-x86", "sudo dnf install qemu-system-x86",
     "sudo zypper install qemu-x86", "sudo pacman -S qemu-system-x86"},
    {"sudo apt install xen-system-amd64", "sudo dnf install xen",
     "sudo zypper install xen xen-tools", "xdg-open https://wiki.archlinux.org/title/Xen"},
    {"sudo apt install linux-image-amd64", "sudo dnf install kernel",
     "sudo zypper install kernel-default", "sudo pacman -S linux"},
    {"sudo apt install openssh-server && sudo systemctl enable --now ssh",
     "sudo dnf install openssh-server && sudo systemctl enable --now sshd",
     "sudo zypper install openssh && sudo systemctl enable --now sshd",
     "sudo pacman -S openssh && sudo systemctl enable --now sshd"},
    {"sudo update-initramfs -u -k all", "sudo dracut -f --regenerate-all",
     "sudo dracut -f --regenerate-all", "sudo mkinitcpio -P"},
    {"sudo update-grub", "sudo grub2-mkconfig -o /boot/grub2/grub.cfg",
     "sudo grub2-mkconfig -o /boot/grub2/grub.cfg", "sudo grub-mkconfig -o /boot/grub/grub.cfg"},
};

static enum family family_of(const struct nunchi_diagnosis *diagnosis)
{
	enum family family = ARCH;

	while (family && !facts_is(&diagnosis->facts, FACT_OS_FAMILY, family_names[family]))
		family--;
	return family;
}

/* The command that the text has at that place, or NULL. */
static const char *const *command_at(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strncmp(text, commands[i][DEBIAN], strlen(commands[i][DEBIAN])))
			return commands[i];
	return NULL;
}

const char *diagnosis_for_family(struct nunchi_diagnosis *diagnosis, const char *text)
{
	enum family family = family_of(diagnosis);
	_cleanup_buffer_ struct buffer out = {0};

	if (!text || family == DEBIAN || !strstr(text, "sudo "))
		return text;
	while (*text) {
		const char *const *command = command_at(text);

		if (command) {
			buffer_append_string(&out, command[family]);
			text += strlen(command[DEBIAN]);
		} else {
			buffer_append_char(&out, *text++);
		}
	}
	if (out.failed)
		diagnosis->failed = true;
	return diagnosis_keep(diagnosis, buffer_string(&out), out.size);
}
