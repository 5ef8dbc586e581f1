/*
 * Checks of the fuzz targets: they hold in every build.
 */
#ifndef FUZZ_MUST_HOLD_H
#define FUZZ_MUST_HOLD_H

#include "base/base.h"

#define must_hold(condition) ((condition) ? (void)0 : abort())

#endif
