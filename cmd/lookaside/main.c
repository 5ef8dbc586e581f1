/* lookaside: the controller. */
#include <signal.h>
#include <stdio.h>

#include "app.h"
#include "limits.h"

int main(int argc, char **argv)
{
    struct options options;
    enum options_result result;
    struct err err = {0};
    struct app app;
    int exit_code = 1;

    if (options_parse(argc, argv, &options, &result, &err) != CODE_OK) {
        fprintf(stderr, "lookaside: %s\nTry 'lookaside --help'.\n", err.msg);
        options_done(&options);
        return 2;
    }
    if (result == OPTIONS_EXIT_OK) {
        options_done(&options);
        return 0;
    }
    log_setup(options.log_level, options.log_format);
    signal(SIGPIPE, SIG_IGN);
    limits_raise_files();
    if (app_start(&app, &options, &err) == CODE_OK)
        exit_code = app_run(&app);
    else
        log_error(LOG_MAIN, "cannot start", KV_ERR(&err));
    app_stop(&app);
    options_done(&options);
    return exit_code;
}
