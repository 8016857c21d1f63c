/*
 * service/index_info.h - what is known of an index and of a repository in it, with a configuration and without one
 * (service.md 8). The public functions are in davit/service.h.
 */
#ifndef DV_SERVICE_INDEX_INFO_H
#define DV_SERVICE_INDEX_INFO_H

#include "davit/service.h"

#include "service/service_config.h"

DV_DEFINE_AUTO(davit_index_info, davit_index_info_clear)
DV_DEFINE_AUTO(davit_repository_info, davit_repository_info_clear)

/* v27: DAVIT_EINVAL for a name with a hyphen at its end. May call resolve. */
int dv_index_info_of_name(const dv_service_config *config, const char *name, davit_index_info *out,
                          davit_error **err);
/* For who has no configuration: no mirrors, and security by the name and its addresses. */
int dv_index_info_without_config(const char *name, const dv_lookup *lookup, davit_index_info *out,
                                 davit_error **err);

int dv_repository_info_of(const dv_service_config *config, const davit_reference *ref,
                          davit_repository_info *out, davit_error **err);
int dv_repository_info_without_config(const davit_reference *ref, const dv_lookup *lookup,
                                      davit_repository_info *out, davit_error **err);

/*
 * The index's name in a search term, new text, and what to search for there, borrowed from term: "host/name" when host looks
 * like one, else Docker Hub and the whole.
 */
int dv_search_term_split(const char *term, char **out_index, const char **out_remote, davit_error **err);

#endif
