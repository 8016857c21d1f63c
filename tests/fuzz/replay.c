/* tests/fuzz/replay.c - runs a fuzz target over files instead of invented input, for compilers without libFuzzer.
 *
 *     fuzz_NOUN PATH...     each a file or a folder of files
 *
 * Each input is copied into an allocation of exactly its size, so that a sanitizer sees a read behind the end. Also tries
 * every input cut short at a few places: a half document is the commonest foreign one. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 16 << 20, CUTS = 8 };

static unsigned long inputs;

static void run_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = calloc(1, size ? size : 1);
    if (!copy)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);
    if (!file || !data) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    size_t size = fread(data, 1, INPUT_MAX, file);
    fclose(file);
    run_copy(data, size);
    for (size_t i = 0; i < CUTS; i++)
        run_copy(data, size * i / CUTS);
    free(data);
    inputs++;
    return 0;
}

static int run_path(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    if (!S_ISDIR(st.st_mode))
        return run_file(path);
    DIR *dir = opendir(path);
    if (!dir)
        return 1;
    int failed = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        char *child = NULL;
        if (asprintf(&child, "%s/%s", path, entry->d_name) < 0)
            abort();
        failed |= run_path(child);
        free(child);
    }
    closedir(dir);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;
    run_copy((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++)
        failed |= run_path(argv[i]);
    printf("%lu inputs\n", inputs);
    return failed;
}
