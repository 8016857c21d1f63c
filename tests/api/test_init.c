/* tests/api/test_init.c - an embedder's first lines: every _INIT is its version and zeros, and the library that runs is
 * the one that the headers describe. Links only the shared library. */
#include <davit/davit.h>

#include <stdio.h>
#include <string.h>

static int failed;

/* Everything behind the version, the struct's first member, is zero: zero is always the default. */
static void check_init(const char *name, const void *options, size_t size, uint32_t version)
{
    uint32_t first;
    memcpy(&first, options, sizeof first);
    if (first != version) {
        printf("%s: version %u, expected %u\n", name, first, version);
        failed = 1;
    }
    const unsigned char *bytes = options;
    for (size_t i = sizeof first; i < size; i++) {
        if (bytes[i] != 0) {
            printf("%s: byte %zu is %u, expected 0\n", name, i, bytes[i]);
            failed = 1;
        }
    }
}

/* Static, so that padding is zero too. */
#define CHECK(type, init, version)                            \
    do {                                                      \
        static const type options = init;                     \
        check_init(#init, &options, sizeof options, version); \
    } while (0)

/* A value of a struct without a version: an embedder's first, and what its clearing leaves. */
#define CHECK_EMPTY(type, init)                     \
    do {                                            \
        static const type empty = init;             \
        check_init(#init, &empty, sizeof empty, 0); \
    } while (0)

/* Words that stand in files, requests and other programs. */
static void check_constants(void)
{
    static const char *const rows[][2] = {
        {DAVIT_AUTH_HEADER, "X-Registry-Auth"},
        {DAVIT_DEFAULT_NAMESPACE, "docker.io"},
        {DAVIT_DEFAULT_REGISTRY_HOST, "registry-1.docker.io"},
        {DAVIT_INDEX_HOSTNAME, "index.docker.io"},
        {DAVIT_INDEX_SERVER, "https://index.docker.io/v1/"},
        {DAVIT_INDEX_NAME, "docker.io"},
        {DAVIT_AUTH_CLIENT_ID, "docker"},
        {DAVIT_DEFAULT_V2_REGISTRY, "https://registry-1.docker.io"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i][0], rows[i][1]) != 0) {
            printf("%s, expected %s\n", rows[i][0], rows[i][1]);
            failed = 1;
        }
    }
}

int main(void)
{
    check_constants();
    CHECK(davit_client_options, DAVIT_CLIENT_OPTIONS_INIT, DAVIT_CLIENT_OPTIONS_VERSION);
    CHECK(davit_copy_options, DAVIT_COPY_OPTIONS_INIT, DAVIT_COPY_OPTIONS_VERSION);
    CHECK(davit_distribution_config, DAVIT_DISTRIBUTION_CONFIG_INIT, DAVIT_DISTRIBUTION_CONFIG_VERSION);
    CHECK(davit_image_pull_config, DAVIT_IMAGE_PULL_CONFIG_INIT, DAVIT_IMAGE_PULL_CONFIG_VERSION);
    CHECK(davit_image_push_config, DAVIT_IMAGE_PUSH_CONFIG_INIT, DAVIT_IMAGE_PUSH_CONFIG_VERSION);
    CHECK(davit_load_options, DAVIT_LOAD_OPTIONS_INIT, DAVIT_LOAD_OPTIONS_VERSION);
    CHECK(davit_pull_options, DAVIT_PULL_OPTIONS_INIT, DAVIT_PULL_OPTIONS_VERSION);
    CHECK(davit_save_options, DAVIT_SAVE_OPTIONS_INIT, DAVIT_SAVE_OPTIONS_VERSION);
    CHECK(davit_v1_pull_options, DAVIT_V1_PULL_OPTIONS_INIT, DAVIT_V1_PULL_OPTIONS_VERSION);
    CHECK(davit_v1_push_options, DAVIT_V1_PUSH_OPTIONS_INIT, DAVIT_V1_PUSH_OPTIONS_VERSION);
    CHECK(davit_v1_open_options, DAVIT_V1_OPEN_OPTIONS_INIT, DAVIT_V1_OPEN_OPTIONS_VERSION);
    CHECK(davit_search_options, DAVIT_SEARCH_OPTIONS_INIT, DAVIT_SEARCH_OPTIONS_VERSION);
    CHECK(davit_service_options, DAVIT_SERVICE_OPTIONS_INIT, DAVIT_SERVICE_OPTIONS_VERSION);
    CHECK(davit_export_options, DAVIT_EXPORT_OPTIONS_INIT, DAVIT_EXPORT_OPTIONS_VERSION);
    CHECK(davit_unpack_options, DAVIT_UNPACK_OPTIONS_INIT, DAVIT_UNPACK_OPTIONS_VERSION);
    CHECK_EMPTY(davit_auth_config, DAVIT_AUTH_CONFIG_INIT);
    CHECK_EMPTY(davit_authenticate_ok_body, DAVIT_AUTHENTICATE_OK_BODY_INIT);
    CHECK_EMPTY(davit_index_info, DAVIT_INDEX_INFO_INIT);
    CHECK_EMPTY(davit_repository_info, DAVIT_REPOSITORY_INFO_INIT);
    CHECK_EMPTY(davit_service_config, DAVIT_SERVICE_CONFIG_INIT);
    CHECK_EMPTY(davit_layer_stream, DAVIT_LAYER_STREAM_INIT);
    CHECK_EMPTY(davit_push_layer, DAVIT_PUSH_LAYER_INIT);
    CHECK_EMPTY(davit_layer_provider, DAVIT_LAYER_PROVIDER_INIT);
    CHECK_EMPTY(davit_content_store, DAVIT_CONTENT_STORE_INIT);
    CHECK_EMPTY(davit_content_writer, DAVIT_CONTENT_WRITER_INIT);
    CHECK_EMPTY(davit_image_config_store, DAVIT_IMAGE_CONFIG_STORE_INIT);
    CHECK_EMPTY(davit_reference_store, DAVIT_REFERENCE_STORE_INIT);
    CHECK_EMPTY(davit_metadata_store, DAVIT_METADATA_STORE_INIT);
    CHECK_EMPTY(davit_registry_resolver, DAVIT_REGISTRY_RESOLVER_INIT);
    if (strcmp(davit_version(), DAVIT_VERSION) != 0) {
        printf("davit_version() is %s, the headers say %s\n", davit_version(), DAVIT_VERSION);
        failed = 1;
    }
    return failed;
}
