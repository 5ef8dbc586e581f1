/*
 * What folder.c (looking) and folder_objects.c (giving) share.
 */
#ifndef CONTROLLER_FOLDER_INTERNAL_H
#define CONTROLLER_FOLDER_INTERNAL_H

#include "controller/claims.h"
#include "controller/folder.h"
#include "controller/stamp.h"

struct file {
    struct claimant claimant; /* its name */
    char *name;
    struct stamp stamp;  /* of what was read last, well-formed or not */
    struct stamp latest; /* that is not read yet */
    uint64_t latest_us;  /* since when it is that; 0: see the next look */
    uint64_t missing_us; /* since when it is gone; 0: it is not */
    uint64_t busy_us;    /* when somebody wrote to it last and has not closed it; 0: nobody */
    bool seen;           /* in the look that goes on */
    bool noted;          /* an event named it since the last look */
    bool due;            /* to be read in the look that goes on */
    bool again;          /* to be read whatever the stamp says */
    bool told;           /* its writer is done, an event said */
    bool check;          /* its objects may be another file's: look and say */
    bool bad;
    char cause[64]; /* why it cannot even be opened; said once */
    size_t ignored;
    char **keys; /* objects that it gave, sorted */
    size_t keys_len;
};

struct folder {
    char *path;
    struct folder_sink sink;
    struct file **files; /* sorted by name */
    size_t len, cap;
    struct claims claims;
    struct stamp home;     /* the folder that `files` are from */
    uint64_t returning_us; /* since when it is another one that lacks most of them; 0: it is not */
    struct stamp swapped;  /* the link that a ConfigMap's update swaps, in the last look; zero: none */
    bool swapping;         /* it is another one in the look that goes on */
    uint64_t now_us;       /* of the look that goes on */
    uint64_t again_us;     /* when to look again; 0: no need */
    struct manifest said;  /* kinds that were named in the log already: `ignored` only */
    struct folder_stats stats;
};

static inline struct file *file_of(struct claimant *claimant)
{
    return claimant ? container_of(claimant, struct file, claimant) : NULL;
}

/* The file's objects are those of the manifest from now on. Takes the manifest's keys. */
void folder_give_objects(struct folder *folder, struct file *file, struct manifest *manifest);
/* The file has no objects any more. */
void folder_drop_objects(struct folder *folder, struct file *file);
/* Names the objects that stand in two files, of the files that changed. */
void folder_say_overlaps(struct folder *folder);

#endif
