package agent;

import io.grpc.CallOptions;
import io.grpc.ClientInterceptors;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/** One dialled target, and when each of its backends first answered. */
final class Channel {
    /** HelloRequest{name: "agent"}, encoded by hand: no generated code anywhere. */
    private static final byte[] REQUEST = "\n\5agent".getBytes(StandardCharsets.ISO_8859_1);
    private static final String FROM = " from ";
    private static final Bytes BYTES = new Bytes();
    private static final MethodDescriptor<byte[], byte[]> METHOD =
            MethodDescriptor.newBuilder(BYTES, BYTES)
                    .setType(MethodDescriptor.MethodType.UNARY)
                    .setFullMethodName("helloworld.Greeter/SayHello")
                    .build();

    private final ManagedChannel channel;
    final Map<String, Double> firstSeen = new ConcurrentHashMap<>();

    Channel(String target, long idleMs, String grpclb) {
        ManagedChannelBuilder<?> builder =
                Grpc.newChannelBuilder(target, InsecureChannelCredentials.create());
        if (idleMs > 0) {
            builder.idleTimeout(idleMs, TimeUnit.MILLISECONDS);
        }
        if (!grpclb.isEmpty()) {
            builder.defaultServiceConfig(grpclbConfig(grpclb));
        }
        channel = builder.build();
    }

    /** Selects grpclb; the balancer is asked for the name, or for what is dialled ("*"). */
    private static Map<String, ?> grpclbConfig(String name) {
        Map<String, Object> policy = new HashMap<>();
        policy.put("childPolicy", List.of(Map.of("round_robin", Map.of())));
        if (!name.equals("*")) {
            policy.put("serviceName", name);
        }
        return Map.of("loadBalancingConfig", List.of(Map.of("grpclb", policy)));
    }

    /** Makes one call and returns the name of the backend that answered. */
    String once(Command command) {
        CallOptions options =
                CallOptions.DEFAULT.withDeadlineAfter(command.timeout_ms, TimeUnit.MILLISECONDS);
        if (command.wait_for_ready) {
            options = options.withWaitForReady();
        }
        byte[] reply = ClientCalls.blockingUnaryCall(with(command), METHOD, options, REQUEST);
        String text = new String(reply, StandardCharsets.UTF_8);
        return text.substring(text.indexOf(FROM) + FROM.length());
    }

    /** The channel, with the command's header on each call. */
    private io.grpc.Channel with(Command command) {
        if (command.header == null) {
            return channel;
        }
        Metadata headers = new Metadata();
        headers.put(Metadata.Key.of(command.header, Metadata.ASCII_STRING_MARSHALLER), command.value);
        return ClientInterceptors.intercept(channel, MetadataUtils.newAttachHeadersInterceptor(headers));
    }

    String state() {
        return channel.getState(false).name();
    }

    private static final class Bytes implements MethodDescriptor.Marshaller<byte[]> {
        @Override
        public InputStream stream(byte[] value) {
            return new ByteArrayInputStream(value);
        }

        @Override
        public byte[] parse(InputStream stream) {
            try {
                return stream.readAllBytes();
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    }
}
