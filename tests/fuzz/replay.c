/*
 * Feeds files, and all files of folders, to a fuzz target: what a fuzzer found stays a test.
 *
 *   build/fuzz-json tests/data/fuzz/json
 *
 * A run that finds no file fails, so that a wrong path does not pass for a good corpus.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "base/base.h"

#define INPUT_MAX (16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool replay_file(const char *path)
{
    /* Exactly as many bytes as the input has, so that the sanitizer sees a read behind it. */
    CLEANUP(freep) uint8_t *bytes = NULL;
    struct stat info;
    FILE *file = fopen(path, "rb");
    size_t len = 0;

    if (!file || fstat(fileno(file), &info) != 0 || info.st_size > INPUT_MAX) {
        fprintf(stderr, "replay: cannot read %s\n", path);
        if (file)
            fclose(file);
        return false;
    }
    bytes = xmalloc(info.st_size > 0 ? (size_t)info.st_size : 1);
    len = fread(bytes, 1, (size_t)info.st_size, file);
    fclose(file);
    if (len != (size_t)info.st_size)
        return false;
    LLVMFuzzerTestOneInput(bytes, len);
    return true;
}

static size_t replay_folder(const char *path)
{
    struct dirent **entries = NULL;
    int len = scandir(path, &entries, NULL, alphasort);
    size_t done = 0;

    for (int i = 0; i < len; i++) {
        char inner[4096];

        snprintf(inner, sizeof(inner), "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            done += replay_file(inner);
        free(entries[i]);
    }
    free(entries);
    return done;
}

int main(int argc, char **argv)
{
    size_t done = 0;

    for (int i = 1; i < argc; i++) {
        struct stat info;
        bool is_folder = stat(argv[i], &info) == 0 && S_ISDIR(info.st_mode);
        size_t before = done;

        done += is_folder ? replay_folder(argv[i]) : replay_file(argv[i]);
        if (done == before) {
            fprintf(stderr, "replay: nothing to read in %s\n", argv[i]);
            return 1;
        }
    }
    printf("%zu inputs replayed\n", done);
    return done > 0 ? 0 : 1;
}
