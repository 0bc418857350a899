/* Calls from where a thread has almost ended: the destructors of its keys, which is where
 * finalizers of other languages run. The log loses lines there, and nothing else. */
#include "check.h"
#include <pthread.h>

static pthread_key_t key;
static simledger_ledger *ledger;

static void ignore_line(int32_t level, const char *message, size_t len, void *user_data) {
    (void)level, (void)message, (void)len, (void)user_data;
}

static void at_the_end(void *argument) {
    (void)argument;
    int64_t id = 0;
    CHECK_OK(simledger_append_json(
        ledger, "{\"timestamp\":2,\"node_id\":\"late\",\"features\":{},\"confidence\":1}",
        NUL_TERMINATED, &id, &error));
    CHECK(id == 2);
    CHECK_OK(simledger_cleanup_before_id(ledger, 2, NULL, &error));
    CHECK_OK(simledger_close(ledger, &error));
}

static void *thread(void *argument) {
    /* This thread has logged before, so that what it keeps for the log is there, and gone at its
     * end. */
    CHECK_OK(simledger_cleanup(ledger, 1e9, NULL, &error));
    CHECK(pthread_setspecific(key, argument) == 0);
    return NULL;
}

int main(void) {
    simledger_config *config = config_with("ledger.db", END);
    CHECK_OK(
        simledger_config_set_log(config, SIMLEDGER_LOG_DEBUG, ignore_line, NULL, NULL, &error));
    CHECK_OK(simledger_open(config, &ledger, &error));
    CHECK_OK(simledger_append_json(
        ledger, "{\"timestamp\":4e9,\"node_id\":\"early\",\"features\":{},\"confidence\":1}",
        NUL_TERMINATED, NULL, &error));
    simledger_config_free(config);
    CHECK(pthread_key_create(&key, at_the_end) == 0);
    pthread_t threads;
    CHECK(pthread_create(&threads, NULL, thread, &key) == 0);
    CHECK(pthread_join(threads, NULL) == 0);
    CHECK_FAILS(SIMLEDGER_CLOSED, "", "closed", simledger_close(ledger, &error));
    return 0;
}
