package agent;

/** One line of input. The names are those of the JSON. */
final class Command {
    String cmd = "";
    String target;
    long n;
    int threads = 1;
    long timeout_ms = 5000;
    boolean wait_for_ready;
    long pause_us;
    long idle_ms;
    String channel = "";
    String header;
    String value;
    String grpclb = "";
}
