package agent;

import java.util.HashMap;
import java.util.Map;

/** What a run counted. The names are those of the JSON. */
final class Totals {
    long ok;
    long failed;
    Map<String, Long> by_backend = new HashMap<>();
    Map<String, Long> errors = new HashMap<>();
    String first_error = "";
    double slowest_ms;
    Map<String, Double> first_seen_ms = new HashMap<>();
}
