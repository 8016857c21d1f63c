/*
 * tests/support/overlay_layers.h - layers as rows of a table become directories for overlayfs, and what the kernel shows of them must be the tree
 * of unpack_layers.h.
 */
#ifndef DV_TESTS_OVERLAY_LAYERS_H
#define DV_TESTS_OVERLAY_LAYERS_H

#include "unpack_layers.h"

/* The tree or the error of the case. Fails with fact, expected and got; without the right to mount only the error is compared. */
void check_overlaid(const unpack_case *c);
/* What is in the directory of the last layer itself. */
void check_last_layer(const unpack_case *c);

#endif
