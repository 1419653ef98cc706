#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <ranges>
#include <stop_token>
#include <type_traits>
#include <utility>
#include <vector>

#include "../delivery/commit_tracker.hpp"
#include "../operators/stages.hpp"
#include "../pipeline.hpp"

namespace microbatch::inline v0_1::detail {

/// For flows: appends with an origin.
struct AppendFrom {
  template <class T>
  static AppendResult append(Producer<T>& producer, T&& item, const Origin& origin) {
    return producer.append_from(std::move(item), origin);
  }
  template <class T>
  static void mark(Producer<T>& producer, const Mark& mark) {
    producer.mark(mark);
  }
};

/// Which of several sources a partition belongs to: the upper bits say it.
class PartitionMap {
 public:
  static constexpr std::uint32_t most_sources = 256;
  static constexpr std::uint32_t most_partitions = 1U << 24;

  static std::uint32_t whole(std::uint32_t source, std::uint32_t partition) {
    if (partition >= most_partitions)
      throw UsageError(fmt::format("flow: a source's partition must be below {}, got {}",
                                   most_partitions, partition));
    return source * most_partitions + partition;
  }
  static std::uint32_t source_of(std::uint32_t partition) noexcept {
    return partition / most_partitions;
  }
  static std::uint32_t within(std::uint32_t partition) noexcept {
    return partition % most_partitions;
  }
};

/// A source by reference or by value; or a range, which is a source of its elements.
template <class S>
class HeldSource {
 public:
  using Given = std::remove_reference_t<S>;
  static constexpr bool is_range = std::ranges::input_range<Given>;

  template <class G>
  struct ValueOf {
    static_assert(
        requires { typename G::value_type; },
        "microbatch: from() needs a range, or a source with `using value_type` and "
        "`void run(Feed<value_type>&, std::stop_token)`");
    using type = typename G::value_type;
  };
  template <std::ranges::input_range G>
  struct ValueOf<G> {
    using type = std::ranges::range_value_t<G>;
  };
  using value_type = typename ValueOf<Given>::type;
  static_assert(is_range || Source<Given, value_type>,
                "microbatch: from() needs a range, or a source with `using value_type` and "
                "`void run(Feed<value_type>&, std::stop_token)`");

  explicit HeldSource(S&& source) : source_(hold(std::forward<S>(source))) {}

  [[nodiscard]] Given& get() noexcept {
    if constexpr (std::is_lvalue_reference_v<S>)
      return *source_;
    else
      return source_;
  }

 private:
  static auto hold(S&& source) {
    if constexpr (std::is_lvalue_reference_v<S>)
      return &source;
    else
      return std::move(source);
  }
  std::conditional_t<std::is_lvalue_reference_v<S>, Given*, Given> source_;
};

/// A source and the stages between it and the stream.
template <class Held, class... Stages>
struct Inlet {
  using In = typename Held::value_type;
  /// The source is told when what it brought has ended.
  static constexpr bool commits = CommittableSource<typename Held::Given, In>;

  Held source;
  Fused<Stages...> stages;

  template <class S>
  [[nodiscard]] auto then(S stage) && {
    return Inlet<Held, Stages..., S>{std::move(source), std::move(stages).then(std::move(stage))};
  }

  /// Brings in everything, on the calling thread. `number` is the source's among `sources`.
  template <class T>
  void run(Stream<T>& stream, const std::shared_ptr<CommitTracker>& tracker, std::uint32_t number,
           std::uint32_t sources, const std::stop_token& stop) {
    Push<T> push(*this, stream, tracker, number, sources > 1);
    if constexpr (Held::is_range) {
      push.all_of(source.get(), stop);
    } else {
      Feed<In> feed(push);
      source.get().run(feed, stop);
    }
  }
  /// The source has committed so far.
  void commit(const Origin& last) {
    if constexpr (commits) source.get().commit(last);
  }

 private:
  template <class T>
  class Push final : public Intake<In> {
   public:
    Push(Inlet& inlet, Stream<T>& stream, std::shared_ptr<CommitTracker> tracker,
         std::uint32_t number, bool tagged)
        : inlet_(inlet),
          producer_(stream.producer()),
          tracker_(std::move(tracker)),
          number_(number),
          tagged_(tagged) {}

    template <class R>
    void all_of(R& range, const std::stop_token& stop) {
      const bool may_stop = stop.stop_possible();
      for (auto&& item : range) {
        if (may_stop && stop.stop_requested()) return;
        if (put_plain(std::forward<decltype(item)>(item)) == AppendResult::closed) return;
      }
    }
    AppendResult put(In&& item, const Origin* origin) override {
      return origin == nullptr ? put_plain(std::move(item)) : put_tracked(std::move(item), *origin);
    }

    void mark(const Mark& mark) override {
      Mark whole = mark;
      whole.partition = PartitionMap::whole(number_, mark.partition);
      AppendFrom::mark(producer_, whole);
    }

   private:
    template <class U>
    AppendResult put_plain(U&& item) {
      AppendResult result = AppendResult::accepted;
      inlet_.stages.push(std::forward<U>(item), [&](auto&& out) {
        const AppendResult one = append(T(std::forward<decltype(out)>(out)));
        if (one != AppendResult::accepted && one != AppendResult::dropped) result = one;
      });
      return result;
    }
    AppendResult append(T&& item) {
      if (!tagged_) return producer_.append(std::move(item));
      return AppendFrom::append(producer_, std::move(item),
                                {.partition = PartitionMap::whole(number_, 0), .offset = -1});
    }

    /// The origin has ended when all that came of its item has.
    AppendResult put_tracked(In&& item, const Origin& origin) {
      const Origin from{PartitionMap::whole(number_, origin.partition), origin.offset};
      made_.clear();
      inlet_.stages.push(std::move(item),
                         [&](auto&& out) { made_.push_back(T(std::forward<decltype(out)>(out))); });
      tracker_->expect(from, std::max<std::size_t>(1, made_.size()));
      if (made_.empty()) tracker_->done(from);
      AppendResult result = AppendResult::accepted;
      for (T& out : made_) {
        const AppendResult one = AppendFrom::append(producer_, std::move(out), from);
        if (one == AppendResult::dropped) {
          tracker_->done(from);
        } else if (one != AppendResult::accepted) {
          tracker_->forget(from);  // what was appended of it ends without being committed
          return one;
        }
      }
      return result;
    }

    Inlet& inlet_;
    Producer<T> producer_;
    std::shared_ptr<CommitTracker> tracker_;
    const std::uint32_t number_;
    const bool tagged_;
    std::vector<T> made_;
  };
};

}  // namespace microbatch::inline v0_1::detail
