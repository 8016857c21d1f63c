/* service/config_view.h - a configuration as a ServiceConfig shows it (service.md 6, 17). Public functions: davit/service.h. */
#ifndef DV_SERVICE_CONFIG_VIEW_H
#define DV_SERVICE_CONFIG_VIEW_H

#include "davit/service.h"

#include "service/service_config.h"

DV_DEFINE_AUTO(davit_service_config, davit_service_config_clear)

/* Copies everything. */
int dv_config_view_make(const dv_service_config *config, davit_service_config *out, davit_error **err);

#endif
