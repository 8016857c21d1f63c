/*
 * tests/support/layer_tool.c - the layer store as an embedder uses it, as a program: public headers and the shared library only.
 *
 *     layer_tool STORE image NAME          register the layers of an image; prints their directories, top first, with colons between
 *     layer_tool STORE register [PARENT]   register a layer from standard input; prints its chain id
 *     layer_tool STORE tar CHAIN           its tar on standard output
 *     layer_tool STORE release CHAIN       get it and give it up; prints the chain ids that went
 *     layer_tool STORE list                chain id, own size and size of each
 *     layer_tool STORE directories CHAIN   as for an image
 */
#include <davit/davit.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static davit_error *err;

static void check(int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "%s: %s\n", davit_code_name(r), davit_error_message(err));
    exit(1);
}

static int read_input(void *bytes, size_t size, size_t *out_size, void *user_data)
{
    ssize_t n = read(0, bytes, size);
    if (n < 0)
        return DAVIT_EIO;
    *out_size = (size_t)n;
    return 0;
}

/* Takes the layer. */
static void print_directories(davit_layer *layer)
{
    for (const char *colon = ""; layer; colon = ":") {
        davit_layer *below;
        printf("%s%s", colon, davit_layer_get_path(layer));
        check(davit_layer_get_parent(layer, &below, &err));
        davit_layer_free(layer);
        layer = below;
    }
    printf("\n");
}

static void register_image(davit_store *store, davit_layer_store *layers, const char *name)
{
    davit_image_list *list;
    davit_manifest *manifest;
    davit_layer *top = NULL;
    size_t count;
    check(davit_store_find(store, name, NULL, &list, &err));
    check(davit_store_get_manifest(store, &davit_image_list_at(list, 0)->manifest, &manifest, &err));
    const davit_descriptor *blobs = davit_manifest_layers(manifest, &count);
    for (size_t i = 0; i < count; i++) {
        davit_layer *next;
        check(davit_layer_store_register_blob(
            layers, &blobs[i].digest, top ? &davit_layer_get_info(top)->chain_id : NULL, NULL, &next, &err));
        davit_layer_free(top);
        top = next;
    }
    print_directories(top);
    davit_manifest_free(manifest);
    davit_image_list_free(list);
}

static davit_layer *get(davit_layer_store *layers, const char *chain)
{
    davit_digest digest;
    davit_layer *layer;
    check(davit_digest_parse(chain, &digest, &err));
    check(davit_layer_store_get(layers, &digest, &layer, &err));
    return layer;
}

static void register_input(davit_layer_store *layers, const char *parent)
{
    davit_digest digest;
    davit_layer *layer;
    if (parent)
        check(davit_digest_parse(parent, &digest, &err));
    check(davit_layer_store_register(layers, read_input, NULL, parent ? &digest : NULL, NULL, &layer, &err));
    printf("%s\n", davit_layer_get_info(layer)->chain_id.text);
    davit_layer_free(layer);
}

static void print_tar(davit_layer *layer)
{
    static char bytes[65536];
    davit_layer_stream stream;
    size_t n = 1;
    check(davit_layer_open_tar(layer, &stream, &err));
    while (n > 0) {
        check(stream.read(stream.user_data, bytes, sizeof bytes, &n, &err));
        fwrite(bytes, 1, n, stdout);
    }
    davit_layer_stream_clear(&stream);
    davit_layer_free(layer);
}

static void print_list(const davit_layer_list *list)
{
    for (size_t i = 0; i < davit_layer_list_count(list); i++) {
        const davit_layer_info *info = davit_layer_list_at(list, i);
        printf("%s %" PRIu64 " %" PRIu64 "\n", info->chain_id.text, info->diff_size, info->size);
    }
}

int main(int argc, char **argv)
{
    davit_store *store;
    davit_layer_store *layers;
    davit_layer_list *list = NULL;
    const char *verb = argc > 2 ? argv[2] : "", *argument = argc > 3 ? argv[3] : NULL;
    if (argc < 3 || (!argument && strcmp(verb, "list") != 0 && strcmp(verb, "register") != 0))
        return 2;
    check(davit_store_open(argv[1], DAVIT_STORE_CREATE, &store, &err));
    check(davit_layer_store_open(store, &layers, &err));
    if (strcmp(verb, "image") == 0) {
        register_image(store, layers, argument);
    } else if (strcmp(verb, "register") == 0) {
        register_input(layers, argument);
    } else if (strcmp(verb, "tar") == 0) {
        print_tar(get(layers, argument));
    } else if (strcmp(verb, "directories") == 0) {
        print_directories(get(layers, argument));
    } else if (strcmp(verb, "release") == 0) {
        davit_layer *layer = get(layers, argument);
        check(davit_layer_release(layer, &list, &err));
        print_list(list);
        davit_layer_free(layer);
    } else {
        check(davit_layer_store_list(layers, &list, &err));
        print_list(list);
    }
    davit_layer_list_free(list);
    davit_layer_store_free(layers);
    davit_store_free(store);
    return fflush(stdout) == 0 ? 0 : 1;
}
