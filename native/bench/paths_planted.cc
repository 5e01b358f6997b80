// SPDX-License-Identifier: BSD-2-Clause
// paths.cc with a loss planted in it: the regression gate must report this one.
#define VALE_PLANTED_LOSS
#include "bench/paths.cc"
