import build.bazel.remote.execution.v2.Action;
import build.bazel.remote.execution.v2.ActionResult;
import build.bazel.remote.execution.v2.BatchReadBlobsRequest;
import build.bazel.remote.execution.v2.BatchUpdateBlobsRequest;
import build.bazel.remote.execution.v2.Command;
import build.bazel.remote.execution.v2.ContentAddressableStorageGrpc;
import build.bazel.remote.execution.v2.Digest;
import build.bazel.remote.execution.v2.Directory;
import build.bazel.remote.execution.v2.ExecuteRequest;
import build.bazel.remote.execution.v2.ExecuteResponse;
import build.bazel.remote.execution.v2.ExecutionGrpc;
import com.google.longrunning.Operation;
import com.google.protobuf.ByteString;
import com.google.protobuf.Message;
import io.grpc.ManagedChannel;
import io.grpc.netty.NettyChannelBuilder;
import java.math.BigInteger;
import java.security.MessageDigest;
import java.util.Iterator;

/** A test program of somebody else's: it knows RPW_ENDPOINT, and runs one action there. */
public final class RunEcho {
  private RunEcho() {}

  public static void main(String[] arguments) throws Exception {
    String endpoint = System.getenv("RPW_ENDPOINT");
    ManagedChannel channel =
        NettyChannelBuilder.forTarget(endpoint.replace("grpc://", "")).usePlaintext().build();
    try {
      Command command =
          Command.newBuilder().addArguments("/bin/echo").addArguments(arguments[0]).build();
      Directory root = Directory.getDefaultInstance();
      Action action =
          Action.newBuilder()
              .setCommandDigest(digest(command))
              .setInputRootDigest(digest(root))
              .build();
      BatchUpdateBlobsRequest.Builder upload = BatchUpdateBlobsRequest.newBuilder();
      for (Message each : new Message[] {command, root, action}) {
        upload.addRequestsBuilder().setDigest(digest(each)).setData(each.toByteString());
      }
      var storage = ContentAddressableStorageGrpc.newBlockingStub(channel);
      storage.batchUpdateBlobs(upload.build());
      Digest stdout = execute(channel, action).getStdoutDigest();
      var read = BatchReadBlobsRequest.newBuilder().addDigests(stdout).build();
      System.out.print(storage.batchReadBlobs(read).getResponses(0).getData().toStringUtf8());
    } finally {
      channel.shutdownNow();
    }
  }

  private static ActionResult execute(ManagedChannel channel, Action action) throws Exception {
    ExecuteRequest request = ExecuteRequest.newBuilder().setActionDigest(digest(action)).build();
    Iterator<Operation> operations = ExecutionGrpc.newBlockingStub(channel).execute(request);
    Operation last = Operation.getDefaultInstance();
    while (operations.hasNext()) {
      last = operations.next();
    }
    return last.getResponse().unpack(ExecuteResponse.class).getResult();
  }

  private static Digest digest(Message message) throws Exception {
    ByteString bytes = message.toByteString();
    byte[] hash = MessageDigest.getInstance("SHA-256").digest(bytes.toByteArray());
    String text = String.format("%064x", new BigInteger(1, hash));
    return Digest.newBuilder().setHash(text).setSizeBytes(bytes.size()).build();
  }
}
