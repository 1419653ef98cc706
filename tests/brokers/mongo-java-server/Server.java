// java Server.java PORT: serves MongoDB's protocol on loopback, out of memory, with change streams.

import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.net.InetSocketAddress;

public class Server {
  public static void main(String[] arguments) throws Exception {
    MongoServer server = new MongoServer(new MemoryBackend());
    server.enableOplog();
    server.bind(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])));
    Thread.currentThread().join();
  }
}
