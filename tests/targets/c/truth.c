// Counts of calls and of the paths that they came on, without locks: signal handlers count too.
#include "truth.h"

#include <stdio.h>
#include <stdlib.h>

enum { COUNTS_MAX = 4, NODES_MAX = 4096 };

struct node {
    struct count *count;
    struct node *parent, *next_sibling;
    _Atomic(struct node *) first_child;
    atomic_long calls;
};

static struct node root;
static struct node nodes[NODES_MAX];
static atomic_int nodes_used;

__thread struct node *here;

static struct node *find(struct node *first, const struct node *end, const struct count *count) {
    for (; first != end; first = first->next_sibling)
        if (first->count == count) return first;
    return NULL;
}

static struct node *child(struct node *parent, struct count *count) {
    struct node *first = parent->first_child, *found = find(first, NULL, count);
    if (found) return found;
    int place = nodes_used++;
    if (place >= NODES_MAX) abort();
    struct node *new = &nodes[place];
    new->count = count;
    new->parent = parent;
    do {
        // Another thread may have been faster.
        if ((found = find(first, NULL, count))) return found;
        new->next_sibling = first;
    } while (!atomic_compare_exchange_weak(&parent->first_child, &first, new));
    return new;
}

struct node *enter(struct count *count) {
    struct node *caller = here;
    count->calls++;
    if (!count->counted) return caller;
    // A function that calls itself stays on its path.
    if (!caller || caller->count != count) here = child(caller ? caller : &root, count);
    here->calls++;
    return caller;
}

void leave(struct count *count, struct node *caller) {
    count->returns++;
    here = caller;
}

void reset_counts(const struct scenario *scenario) {
    for (int i = 0; i < COUNTS_MAX && scenario->counts[i]; i++) {
        scenario->counts[i]->calls = 0;
        scenario->counts[i]->returns = 0;
        scenario->counts[i]->counted = true;
    }
    for (int i = 0; i < nodes_used; i++) nodes[i] = (struct node){0};
    nodes_used = 0;
    root.first_child = NULL;
}

static void print_tree(void) {
    const char *separator = "";
    printf(",\"tree\":[");
    for (int i = 0; i < nodes_used; i++) {
        struct node *node = &nodes[i];
        // The place of one that came too late stays empty.
        printf("%s{\"parent\":", separator);
        if (node->parent == &root || !node->parent) printf("null");
        else printf("%ld", (long)(node->parent - nodes));
        printf(",\"function\":\"%s\",\"calls\":%ld}", node->count->name, node->calls);
        separator = ",";
    }
    printf("]");
}

void print_counts(const struct scenario *scenario) {
    printf("\"functions\":{");
    for (int i = 0; i < COUNTS_MAX && scenario->counts[i]; i++) {
        struct count *count = scenario->counts[i];
        long left = count->calls - count->returns;
        // A thread that ended takes its unfinished calls along; only a tool that watches threads
        // end can call them unwound.
        bool threads_end = scenario->threads_end;
        printf("%s\"%s\":{\"calls\":%ld,\"returns\":%ld,\"unwound\":%ld,"
               "\"unwound_or_in_flight\":%ld}",
               i ? "," : "", count->name, count->calls, count->returns, threads_end ? 0 : left,
               threads_end ? left : 0);
        count->counted = false;
    }
    printf("}%s", scenario->stacks_switch ? ",\"stacks_switch\":true" : "");
    if (!scenario->without_tree) print_tree();
}
