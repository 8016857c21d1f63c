/*
 * davit/search.h - finding repositories: the v1 search of an index, and the catalogue of a registry that has none.
 *
 * For every function here: threads: any; only those that take a client block. What is given out is the caller's, to be freed with the
 * function that its type has, texts with free().
 */
#ifndef DAVIT_SEARCH_H
#define DAVIT_SEARCH_H

#include <davit/registry.h>
#include <davit/service.h>

DAVIT_BEGIN_DECLS

#define DAVIT_SEARCH_LIMIT_DEFAULT 25
#define DAVIT_SEARCH_LIMIT_MAX 100

/** What to keep: a list of "key=value" with the keys is-official, is-automated and stars. Ends with NULL. */
typedef struct davit_search_filters davit_search_filters;

/**
 * Read filters from "key=value" texts. A text without "=" is a key without a value, as the reference's flag.
 *
 * @param out  set on success; free with davit_search_filters_free()
 *
 * Errors:  DAVIT_EINVAL (no key), DAVIT_ENOMEM. What the values mean is checked by the search
 * Threads: any
 */
DAVIT_API int davit_search_filters_new(const char *const *texts, davit_search_filters **out,
                                       davit_error **err);
/** Read the wire form, a JSON object of sets or of lists; "" is no filter. Errors: DAVIT_EINVAL "invalid filter". */
DAVIT_API int davit_search_filters_parse(const char *json, size_t size, davit_search_filters **out,
                                         davit_error **err);
DAVIT_API void davit_search_filters_free(davit_search_filters *filters); /**< NULL is fine */

/** One repository that was found (SearchResult). Texts are owned; NULL reads as "". Spec: search.md 9 */
typedef struct davit_search_result {
    int64_t star_count;
    bool is_official;
    char *name;
    bool is_automated; /**< deprecated; false unless DAVIT_SEARCH_V25 */
    char *description;
} davit_search_result;

/** The answer of an index (SearchResults). */
typedef struct davit_search_results {
    char *query;
    int64_t num_results;
    davit_search_result *items;
    size_t count;
    bool has_results; /**< the list was there: [] and not null */
} davit_search_results;

/** Read the JSON. Unknown keys are skipped, case is ignored, missing ones are zero. Errors: DAVIT_EFORMAT, DAVIT_ETOOBIG. */
DAVIT_API int davit_search_results_parse(const void *bytes, size_t size, davit_search_results **out,
                                         davit_error **err);
/** Write the JSON object; free with free(). */
DAVIT_API int davit_search_results_format(const davit_search_results *results, char **out, davit_error **err);
/** Write only the array of results, as GET /images/search answers; free with free(). */
DAVIT_API int davit_search_results_format_list(const davit_search_results *results, char **out,
                                               davit_error **err);
DAVIT_API void davit_search_results_free(davit_search_results *results); /**< NULL is fine */

/** davit_search_options.flags */
#define DAVIT_SEARCH_V25 (1u << 0) /**< is-automated filters and is reported as the index says */

#define DAVIT_SEARCH_OPTIONS_VERSION 1u

/** SearchOptions. Everything is borrowed during the call. */
typedef struct davit_search_options {
    uint32_t version; /**< DAVIT_SEARCH_OPTIONS_VERSION */
    uint32_t flags;
    const davit_search_filters *filters; /**< NULL: none */
    int64_t limit;             /**< 0: DAVIT_SEARCH_LIMIT_DEFAULT; else 1 to DAVIT_SEARCH_LIMIT_MAX */
    const char *registry_auth; /**< X-Registry-Auth value; NULL: the stored credentials of the index */
    davit_request_auth_config_fn request_auth_config; /**< asked once after a refusal (PrivilegeFunc); NULL */
    void *request_auth_config_data;
    const char *const *headers; /**< "Name: value", for the index's own origin; ends with NULL; NULL */
} davit_search_options;

#define DAVIT_SEARCH_OPTIONS_INIT    \
    {                                \
        DAVIT_SEARCH_OPTIONS_VERSION \
    }

/**
 * Ask an index for repositories (Service.Search).
 *
 * @param term     [host/]text
 * @param options  NULL for defaults
 * @param out      set on success; free with davit_search_results_free()
 *
 * Results keep the index's order; what else it says (query, num_results) is dropped, and has_results is always true.
 *
 * Limits:  an answer of 4 MiB
 * Errors:  DAVIT_EINVAL (filter, term, limit, a host no URL can be made of); of an index that cannot be reached the network's, as
 *          "invalid registry endpoint ..."; "Unexpected status code N" with N in davit_error_http_status(): DAVIT_EUNAUTHORIZED 401,
 *          DAVIT_EDENIED 403, DAVIT_ENOTFOUND 404, DAVIT_ERATELIMIT 429, DAVIT_EUNSUPPORTED 501, DAVIT_EUNAVAILABLE other 5xx,
 *          DAVIT_EREGISTRY the rest; DAVIT_EFORMAT "error decoding registry search results: ..."; DAVIT_EUNAUTHORIZED and
 *          DAVIT_EDENIED of a token server; the network's
 * Threads: any; blocks; request_auth_config runs on the calling thread
 * Spec:    search.md
 */
DAVIT_API int davit_service_search(davit_client *client, const char *term,
                                   const davit_search_options *options, davit_search_results **out,
                                   davit_error **err);

/** Takes one repository, in the registry's order; a non-zero answer ends the listing without an error. */
typedef int (*davit_repository_fn)(const char *repository, void *user_data);

/**
 * List the repositories of a registry, page by page.
 *
 * @param host  host[:port]
 *
 * Limits:  8 MiB a page, 10 000 pages
 * Errors:  DAVIT_EUNSUPPORTED (the registry lists to nobody), DAVIT_EUNAUTHORIZED, DAVIT_EDENIED, DAVIT_EPROTOCOL, the network's
 * Threads: any; blocks; @p fn runs on the calling thread
 * Spec:    registry-v2.md 7; threats A8, C4
 */
DAVIT_API int davit_registry_catalog(davit_client *client, const char *host, davit_repository_fn fn,
                                     void *user_data, davit_error **err);

/**
 * List a part of the repositories of a registry, as davit_registry_catalog() lists them all.
 *
 * @param host     host[:port]
 * @param options  NULL: all
 *
 * Limits, errors, threads: as davit_registry_catalog(); DAVIT_EINVAL for options
 * Spec:    registry-v2.md 7; threats A8, C4
 */
DAVIT_API int davit_registry_list_repositories(davit_client *client, const char *host,
                                               const davit_list_options *options, davit_repository_fn fn,
                                               void *user_data, davit_error **err);

DAVIT_END_DECLS

#endif
