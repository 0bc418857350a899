/* A fork from inside a log callback: the child finds itself in the middle of a call that is not its
 * own. */
#include "check.h"
#include <sys/wait.h>

static pid_t child = -1;

static void fork_once(int32_t level, const char *message, size_t len, void *user_data) {
    (void)level, (void)message, (void)len, (void)user_data;
    if (child == -1)
        child = fork();
}

int main(void) {
    simledger_config *config = simledger_config_new();
    CHECK_OK(simledger_config_set(config, "log_bytes", 9, "262144", NUL_TERMINATED, &error));
    simledger_ledger *ledger = GARBAGE_POINTER(simledger_ledger);
    CHECK_OK(
        simledger_config_set(config, "path", NUL_TERMINATED, "ledger.db", NUL_TERMINATED, &error));
    CHECK_OK(simledger_config_set_log(config, SIMLEDGER_LOG_INFO, fork_once, NULL, NULL, &error));
    simledger_error *error = NULL;
    const simledger_status status = simledger_open(config, &ledger, &error);
    if (child == 0) {
        /* Here the ledger that was being opened is the parent's. */
        CHECK(status == SIMLEDGER_CLOSED && ledger == NULL);
        simledger_error_free(error);
        simledger_config_free(config);
        CHECK_OK(simledger_open_path(":memory:", NUL_TERMINATED, &ledger, &error));
        CHECK_OK(simledger_close(ledger, &error));
        _exit(0);
    }
    CHECK(status == SIMLEDGER_OK && error == NULL && child > 0);
    int ended = -1;
    CHECK(waitpid(child, &ended, 0) == child && ended == 0);
    CHECK_OK(simledger_append_json(
        ledger, "{\"timestamp\":1,\"node_id\":\"parent\",\"features\":{},\"confidence\":1}",
        NUL_TERMINATED, NULL, &error));
    CHECK_OK(simledger_close(ledger, &error));
    simledger_config_free(config);
    return 0;
}
