package agent;

import com.google.gson.Gson;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/**
 * An unmodified grpc-java client under remote control: commands come as JSON lines on standard
 * input, one JSON line answers each. See ../README.md for the commands.
 */
public final class Agent {
    private final String target;
    private final Map<String, Channel> channels = new HashMap<>();
    private Run load;
    private AtomicBoolean halt;

    private Agent(String target) {
        this.target = target;
    }

    private Channel channel(Command command) {
        String dialled = command.target == null ? target : command.target;
        return channels.computeIfAbsent(
                String.join(" ", dialled, "" + command.idle_ms, command.channel, command.grpclb),
                key -> new Channel(dialled, command.idle_ms, command.grpclb));
    }

    private Object call(Command command) throws InterruptedException {
        AtomicLong taken = new AtomicLong();
        Run run = new Run(channel(command), command, () -> taken.incrementAndGet() <= command.n);
        run.start();
        run.join();
        return run.take();
    }

    private Object start(Command command) {
        AtomicBoolean stopped = new AtomicBoolean();
        halt = stopped;
        load = new Run(channel(command), command, () -> !stopped.get());
        load.start();
        return Map.of("started", true);
    }

    private Object stop() throws InterruptedException {
        halt.set(true);
        load.join();
        return load.take();
    }

    private Object handle(Command command) throws InterruptedException {
        return switch (command.cmd) {
            case "call" -> call(command);
            case "start" -> start(command);
            case "stats" -> load.take();
            case "stop" -> stop();
            case "state" -> Map.of("state", channel(command).state());
            default -> Map.of("error", "unknown command " + command.cmd);
        };
    }

    public static void main(String[] arguments) throws Exception {
        Agent agent = new Agent(arguments.length > 0 ? arguments[0] : "");
        Gson gson = new Gson();
        BufferedReader lines =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            Object answer;
            try {
                answer = agent.handle(gson.fromJson(line, Command.class));
            } catch (RuntimeException error) {
                answer = Map.of("error", error.toString());
            }
            System.out.println(gson.toJson(answer));
        }
        System.exit(0);
    }
}
