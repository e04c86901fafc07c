/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/result.h"

const char *read_result_string(enum read_result result)
{
	switch (result) {
	case READ_NONE:
		return "there is none";
	case READ_NO_LAYOUT:
		return "this kernel's types lack a field that is needed";
	case READ_NO_SYMBOL:
		return "the address of a variable of this kernel is not known";
	case READ_BAD_DATA:
		return "the guest's bytes contradict themselves";
	case READ_LIMIT:
		return "it is larger than the limit";
	case READ_NO_MEMORY:
		return "out of memory";
	default:
		return memory_fault_string((enum memory_fault)result);
	}
}
