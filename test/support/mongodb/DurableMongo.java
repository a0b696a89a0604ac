import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import io.netty.channel.Channel;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Set;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.h2.mvstore.MVStore;

/**
 * A MongoDB server for tests: mongo-java-server on an H2 file, made durable. It answers a write when the write is in the file, and
 * flushed to the disk unless `--no-fsync` is given (enough for a process that dies, not for a machine). As on a real server, a
 * read sees what others wrote before that is durable, except with read concern `majority` or `linearizable`: that waits for it.
 *
 * Usage: DurableMongo PORT DIRECTORY [--no-fsync]. Prints `ready mongodb://127.0.0.1:PORT` when it answers.
 */
public final class DurableMongo extends H2Backend {
  /** `aggregate` may end in `$out` or `$merge`. */
  private static final Set<String> WRITES = Set.of("insert", "update", "delete", "findandmodify", "aggregate", "create",
      "createindexes", "drop", "dropdatabase", "dropindexes", "renamecollection");
  private static final Set<String> DURABLE_READS = Set.of("majority", "linearizable");

  private final MVStore store;
  private final boolean fsync;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition written = lock.newCondition();
  private final Condition durable = lock.newCondition();
  /** Number of the last write, and of the last one that is durable. */
  private long lastWrite, lastDurable;

  private DurableMongo(MVStore store, boolean fsync) {
    super(store);
    this.store = store;
    this.fsync = fsync;
    Thread committer = new Thread(this::commitForEver, "committer");
    committer.setDaemon(true);
    committer.start();
  }

  /** One command at a time, so that no commit holds half of one. */
  @Override
  public Document handleMessage(MongoMessage message) {
    Document query = message.getDocument();
    String command = query.keySet().iterator().next().toLowerCase();
    if (isHello(command)) return hello();
    lock.lock();
    try {
      try {
        return super.handleMessage(message);
      } finally {
        // Also after an error: a batch that fails in the middle has written its beginning.
        if (WRITES.contains(command)) awaitDurable(++lastWrite);
        else if (readsDurable(query)) awaitDurable(lastWrite);
      }
    } finally {
      lock.unlock();
    }
  }

  /** Handshakes of drivers that begin with OP_QUERY. */
  @Override
  public Document handleCommand(Channel channel, String database, String command, Document query) {
    return isHello(command.toLowerCase()) ? hello() : super.handleCommand(channel, database, command, query);
  }

  private void awaitDurable(long write) {
    written.signal();
    while (lastDurable < write) durable.awaitUninterruptibly();
  }

  /** Group commit: while one flush runs, the next writes gather. */
  private void commitForEver() {
    try {
      for (;;) {
        long committed;
        lock.lock();
        try {
          while (lastDurable == lastWrite) written.awaitUninterruptibly();
          committed = lastWrite;
          store.commit();
        } finally {
          lock.unlock();
        }
        if (fsync) store.sync();
        lock.lock();
        try {
          lastDurable = committed;
          durable.signalAll();
        } finally {
          lock.unlock();
        }
      }
    } catch (Throwable failure) {
      failure.printStackTrace();
      Runtime.getRuntime().halt(1);
    }
  }

  private static boolean readsDurable(Document query) {
    return query.get("readConcern") instanceof Document concern && DURABLE_READS.contains(concern.get("level"));
  }

  private static boolean isHello(String command) {
    return command.equals("hello") || command.equals("ismaster");
  }

  /** What the driver needs to hear; the library's own answer is of a version that current drivers refuse. */
  private static Document hello() {
    Document answer = new Document();
    answer.put("isWritablePrimary", true);
    answer.put("ismaster", true);
    answer.put("helloOk", true);
    answer.put("minWireVersion", 0);
    answer.put("maxWireVersion", 21);
    answer.put("maxBsonObjectSize", 16 * 1024 * 1024);
    answer.put("maxMessageSizeBytes", 48_000_000);
    answer.put("maxWriteBatchSize", 100_000);
    answer.put("logicalSessionTimeoutMinutes", 30);
    answer.put("localTime", Instant.now());
    answer.put("ok", 1.0);
    return answer;
  }

  public static void main(String[] args) {
    int port = Integer.parseInt(args[0]);
    boolean fsync = args.length < 3 || !args[2].equals("--no-fsync");
    // A command waits for its commit on a thread of the event loop: enough of them for all connections of a test.
    System.setProperty("io.netty.eventLoopThreads", "64");
    MVStore store = new MVStore.Builder().fileName(Path.of(args[1], "data.mv").toString()).autoCommitDisabled().open();
    new MongoServer(new DurableMongo(store, fsync)).bind("127.0.0.1", port);
    System.out.println("ready mongodb://127.0.0.1:" + port);
  }
}
