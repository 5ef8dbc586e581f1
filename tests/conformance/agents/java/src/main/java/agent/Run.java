package agent;

import io.grpc.StatusRuntimeException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.function.BooleanSupplier;

/** Threads that make calls until {@code more} says stop, and what they counted. */
final class Run {
    private final Channel channel;
    private final Command command;
    private final BooleanSupplier more;
    private final List<Thread> threads = new ArrayList<>();
    private Totals sum = new Totals();

    Run(Channel channel, Command command, BooleanSupplier more) {
        this.channel = channel;
        this.command = command;
        this.more = more;
    }

    void start() {
        for (int i = 0; i < Math.max(command.threads, 1); i++) {
            Thread thread = new Thread(this::work);
            thread.setDaemon(true);
            threads.add(thread);
            thread.start();
        }
    }

    void join() throws InterruptedException {
        for (Thread thread : threads) {
            thread.join();
        }
    }

    /** Returns what was counted since the last take. */
    synchronized Totals take() {
        Totals taken = sum;
        taken.first_seen_ms = new HashMap<>(channel.firstSeen);
        sum = new Totals();
        return taken;
    }

    private void work() {
        while (more.getAsBoolean()) {
            long begin = System.nanoTime();
            try {
                answered(channel.once(command), begin);
            } catch (StatusRuntimeException error) {
                failed(error, begin);
            }
            pause();
        }
    }

    private synchronized void answered(String backend, long begin) {
        sum.ok++;
        sum.by_backend.merge(backend, 1L, Long::sum);
        channel.firstSeen.putIfAbsent(backend, (double) System.currentTimeMillis());
        timed(begin);
    }

    private synchronized void failed(StatusRuntimeException error, long begin) {
        sum.failed++;
        sum.errors.merge(error.getStatus().getCode().name(), 1L, Long::sum);
        if (sum.first_error.isEmpty()) {
            sum.first_error = error.getMessage();
        }
        timed(begin);
    }

    private void timed(long begin) {
        sum.slowest_ms = Math.max(sum.slowest_ms, (System.nanoTime() - begin) / 1e6);
    }

    private void pause() {
        if (command.pause_us > 0) {
            try {
                Thread.sleep(command.pause_us / 1000, (int) (command.pause_us % 1000) * 1000);
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
