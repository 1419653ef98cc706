// What satisfies Source, CommittableSource and Sink, and what must not.

#include <microbatch/io/callback_sink.hpp>
#include <microbatch/io/file_sinks.hpp>
#include <microbatch/io/file_source.hpp>
#include <microbatch/io/generator_source.hpp>
#include <microbatch/io/input_source.hpp>
#include <microbatch/io/output_sink.hpp>
#include <microbatch/io/range_source.hpp>
#include <microbatch/microbatch.hpp>
#include <microbatch/testing/recording_sink.hpp>
#include <microbatch/testing/vector_source.hpp>

#include <optional>
#include <string>
#include <vector>

namespace {

using namespace microbatch;

struct Numbers {
  void run(Feed<int>&, std::stop_token) {}
};
struct Committed : Numbers {
  void commit(Origin) {}
};
struct CommitsNothing : Numbers {
  void commit() {}
};
struct NoStop {
  void run(Feed<int>&) {}
};

static_assert(Source<Numbers, int>);
static_assert(Source<testing::VectorSource<int>, int>);
static_assert(!Source<Numbers, std::string>, "a feed of another item type");
static_assert(!Source<NoStop, int>);
static_assert(!Source<int, int>);

static_assert(CommittableSource<FileSource, std::string>);
static_assert(Source<InputSource, std::string> && !CommittableSource<InputSource, std::string>);
static_assert(Source<RangeSource<std::vector<int>>, int>);
static_assert(Source<GeneratorSource<std::optional<int> (*)()>, int>);

static_assert(CommittableSource<Committed, int>);
static_assert(CommittableSource<testing::VectorSource<int>, int>);
static_assert(!CommittableSource<Numbers, int>);
static_assert(!CommittableSource<CommitsNothing, int>);

struct Prints {
  void put(std::span<const int>) {}
};
struct PutsOne {
  void put(const int&) {}
};
struct Changes {
  void put(std::span<int>) {}
};
struct Picks {
  PutErrors put(std::span<const int>) { return {}; }
};
struct Closes : Prints {
  void close() {}
};

static_assert(Sink<Prints, int>);
static_assert(Sink<testing::RecordingSink<int>, int>);
static_assert(!Sink<Prints, std::string>, "of another result type");
static_assert(!Sink<PutsOne, int>, "results come by the span");
static_assert(!Sink<Changes, int>, "results are repeated, so they are const");
static_assert(!Sink<int, int>);
static_assert(Sink<Picks, int>);
static_assert(PartialSink<Picks, int>);
static_assert(!PartialSink<Prints, int>);
struct Opaque {};
static_assert(Sink<AppendFileSink, std::string> && Sink<FolderSink, int> &&
              Sink<OutputSink, double>);
static_assert(!Sink<OutputSink, Opaque>, "neither text nor formattable");
static_assert(Sink<CallbackSink<void (*)(std::span<const int>)>, int>);
static_assert(ClosableSink<Closes>);
static_assert(!ClosableSink<Prints>);

}  // namespace
