#include <criterion/criterion.h>

#include "base/metric.h"

static struct buf out;

static void init(void)
{
    buf_init(&out, 1 << 16);
}

static void done(void)
{
    buf_done(&out);
}

TestSuite(metric, .init = init, .fini = done);

Test(metric, counts)
{
    struct counter counter = {0};

    counter_add(&counter, 2);
    counter_add(&counter, 3);
    cr_assert_eq(counter_get(&counter), 5);
    counter_set(&counter, 1);
    cr_assert_eq(counter_get(&counter), 1);
}

Test(metric, observes_into_the_bucket_whose_bound_is_not_below)
{
    static const struct {
        uint64_t us;
        size_t bucket;
    } cases[] = {
        {0, 0},    {100, 0},       {101, 1},       {200, 1},         {201, 2},
        {1600, 4}, {26214400, 18}, {26214401, 19}, {UINT64_MAX, 19},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct histogram histogram = {0};

        histogram_observe_us(&histogram, cases[i].us);
        cr_assert_eq(counter_get(&histogram.buckets[cases[i].bucket]), 1, "%llu us",
                     (unsigned long long)cases[i].us);
        cr_assert_eq(counter_get(&histogram.sum_us), cases[i].us);
    }
}

Test(metric, merges_histograms)
{
    struct histogram a = {0};
    struct histogram b = {0};

    histogram_observe_us(&a, 50);
    histogram_observe_us(&b, 60);
    histogram_observe_us(&b, 5000);
    histogram_merge(&a, &b);
    cr_assert_eq(counter_get(&a.buckets[0]), 2);
    cr_assert_eq(counter_get(&a.buckets[6]), 1);
    cr_assert_eq(counter_get(&a.sum_us), 5110);
}

Test(metric, writes_a_family)
{
    metric_write_head(&out, "lookaside_objects", "gauge", "Objects held,\nby \\kind");
    metric_write_u64(&out, "lookaside_objects", "resource=\"services\"", 18446744073709551615u);
    metric_write_double(&out, "lookaside_objects", NULL, 0.25);
    cr_assert_str_eq(buf_cstr(&out),
                     "# HELP lookaside_objects Objects held,\\nby \\\\kind\n"
                     "# TYPE lookaside_objects gauge\n"
                     "lookaside_objects{resource=\"services\"} 18446744073709551615\n"
                     "lookaside_objects 0.25\n");
}

Test(metric, writes_what_is_no_number)
{
    metric_write_double(&out, "m", "", __builtin_nan(""));
    metric_write_double(&out, "m", "", __builtin_inf());
    metric_write_double(&out, "m", "", -__builtin_inf());
    cr_assert_str_eq(buf_cstr(&out), "m NaN\nm +Inf\nm -Inf\n");
}

Test(metric, writes_a_cumulative_histogram)
{
    struct histogram histogram = {0};
    const char *text;

    histogram_observe_us(&histogram, 100);
    histogram_observe_us(&histogram, 150);
    histogram_observe_us(&histogram, 60000000);
    metric_write_histogram(&out, "h", "Time.", &histogram);
    text = buf_cstr(&out);
    cr_assert(str_starts_with(str_of(text),
                              STR("# HELP h Time.\n# TYPE h histogram\n"
                                  "h_bucket{le=\"0.0001\"} 1\nh_bucket{le=\"0.0002\"} 2\n")),
              "%s", text);
    cr_assert_not_null(strstr(text, "h_bucket{le=\"26.2144\"} 2\nh_bucket{le=\"+Inf\"} 3\n"
                                    "h_sum 60.00025\nh_count 3\n"),
                       "%s", text);
}

Test(metric, escapes_labels)
{
    metric_label(&out, "name", STR("a\"b\\c\nd"));
    cr_assert_str_eq(buf_cstr(&out), "name=\"a\\\"b\\\\c\\nd\"");
}

Test(metric, replaces_label_bytes_that_are_not_utf8)
{
    metric_label(&out, "n", STR("\xC3\xA4\xFF"));
    cr_assert_str_eq(buf_cstr(&out), "n=\"\xC3\xA4\xEF\xBF\xBD\"");
}

Test(metric, cuts_labels_between_characters)
{
    char text[300];

    memset(text, 'x', sizeof(text));
    memcpy(text + 127, "\xC3\xA4", 2);
    metric_label(&out, "n", str_make(text, sizeof(text)));
    cr_assert_eq(out.len, strlen("n=\"\"") + 127);
}
