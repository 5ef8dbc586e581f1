#include "files.h"

#include <fcntl.h>
#include <ftw.h>
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

static const char *path_aside(void)
{
    static char path[sizeof(folder) + 8];

    snprintf(path, sizeof(path), "%s.aside", folder);
    return path;
}

static int remove_entry(const char *path, unused_arg const struct stat *info, unused_arg int type,
                        unused_arg struct FTW *where)
{
    return remove(path);
}

static void remove_tree(const char *path)
{
    (void)nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
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
    remove_tree(path_aside());
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

void file_link(const char *to, const char *name)
{
    cr_assert_eq(symlink(to, path_of(".link.part")), 0);
    file_rename(".link.part", name);
}

void file_mkdir(const char *name)
{
    cr_assert_eq(mkdir(path_of(name), 0755), 0);
}

void folder_delete(void)
{
    remove_tree(folder);
}

void folder_make(void)
{
    cr_assert_eq(mkdir(folder, 0755), 0);
}

void folder_move_aside(void)
{
    cr_assert_eq(rename(folder, path_aside()), 0);
}

void folder_move_back(void)
{
    folder_delete();
    cr_assert_eq(rename(path_aside(), folder), 0);
}
