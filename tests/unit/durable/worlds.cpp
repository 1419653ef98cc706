#include "worlds.hpp"

namespace test {

Consumer consume(microbatch::DurableStream<std::string, microbatch::MemoryStorage>& stream,
                 std::size_t count, Callback<microbatch::MemoryStorage> callback,
                 microbatch::ConsumerOptions<std::string> options,
                 microbatch::DeliveryOptions delivery) {
  return microbatch::streaming(stream, microbatch::CountWindow{count}, std::move(callback),
                               std::move(options), delivery);
}

Consumer consume(microbatch::DurableStream<std::string, microbatch::sqlite::Storage>& stream,
                 std::size_t count, Callback<microbatch::sqlite::Storage> callback,
                 microbatch::ConsumerOptions<std::string> options,
                 microbatch::DeliveryOptions delivery) {
  return microbatch::streaming(stream, microbatch::CountWindow{count}, std::move(callback),
                               std::move(options), delivery);
}

}  // namespace test
