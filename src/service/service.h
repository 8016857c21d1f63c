/*
 * service/service.h - a davit_service from inside: whoever asks it several things takes one snapshot and asks that.
 */
#ifndef DV_SERVICE_SERVICE_H
#define DV_SERVICE_SERVICE_H

#include "davit/service.h"

#include "service/service_config.h"

/* As davit_service_new(), with the name service of the options (NULL: names are not looked up). */
int dv_service_new(const dv_service_options *options, davit_service **out, davit_error **err);

/* The configuration in force, a reference: give it up with dv_service_config_unref(). Threads: any; never waits. */
dv_service_config *dv_service_snapshot(davit_service *service);

DV_DEFINE_AUTOPTR(davit_service, davit_service_unref)
DV_DEFINE_AUTOPTR(davit_service_commit, davit_service_commit_free)

#endif
