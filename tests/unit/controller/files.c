#include "files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

static char folder[64];

static const char *path_of(const char *name)
{
    static char paths[2][512];
    static int turn;

    turn = !turn;
    snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", folder, name);
    return paths[turn];
}

const char *files_start(void)
{
    snprintf(folder, sizeof(folder), "/tmp/lookaside-files-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    return folder;
}

const char *files_path(void)
{
    return folder;
}

void files_stop(void)
{
    folder_delete();
}

void file_write(const char *name, const char *text)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    size_t len = strlen(text);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, len), (ssize_t)len);
    close(fd);
}

void file_replace(const char *name, const char *text)
{
    file_write(".tmp.part", text);
    file_rename(".tmp.part", name);
}

void file_delete(const char *name)
{
    cr_assert_eq(unlink(path_of(name)), 0);
}

void file_rename(const char *from, const char *to)
{
    cr_assert_eq(rename(path_of(from), path_of(to)), 0);
}

void folder_delete(void)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] != '.' || entry->d_type == DT_REG || entry->d_type == DT_LNK)
            (void)remove(path_of(entry->d_name));
    }
    if (dir)
        closedir(dir);
    (void)rmdir(folder);
}

void folder_make(void)
{
    cr_assert_eq(mkdir(folder, 0755), 0);
}
