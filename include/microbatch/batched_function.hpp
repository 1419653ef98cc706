#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <ranges>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "streaming.hpp"

namespace microbatch::inline v0_1 {

/// The batch function answered with a wrong number of responses.
class ResponseCountError : public std::runtime_error {
 public:
  ResponseCountError(std::size_t requests, std::size_t responses)
      : std::runtime_error(
            fmt::format("batched function: {} responses for {} requests; expected one for each",
                        responses, requests)) {}
};

struct BatchedFunctionOptions {
  std::size_t capacity = 65'536;  ///< calls that wait or run; more callers wait
  AnyExecutor executor{};         ///< default: one worker of its own
  std::size_t max_in_flight = 0;  ///< batches at a time; 0: as many as the executor has workers
};

/// Callers call it with one request and get their own response; the function behind it sees
/// requests by the batch: `function(std::span<Request>)` returns a range with one Response per
/// request, in their order. For inference servers, database loaders, anything that is cheaper by
/// the hundred.
///
/// Threads: any number of callers. Errors: what the function throws, a wrong number of responses
/// (ResponseCountError), and a closed function (AppendError) come out of every call concerned.
/// Nothing is retried. A call from inside the function itself would wait for itself when the queue
/// is full; then it throws AppendError (would_deadlock).
///
///     microbatch::BatchedFunction<int, int> twice(
///         microbatch::any_of(microbatch::CountWindow{64}, microbatch::MaxAgeWindow{2ms}),
///         [](std::span<int> requests) { ... return responses; });
///     int answer = twice(21);
template <class Request, class Response>
class BatchedFunction {
 public:
  template <class E, class F>
  BatchedFunction(E emitter, F function, BatchedFunctionOptions options = {})
      : stream_(StreamOptions<Call>{.capacity = options.capacity}),
        consumer_(streaming(stream_, std::move(emitter), answerer(std::move(function)),
                            {.executor = options.executor,
                             .max_in_flight = options.max_in_flight,
                             .order = Order::unordered})) {}

  /// Waits for the response.
  Response operator()(Request request) { return async(std::move(request)).get(); }

  /// The response, later. A refused call is in the future, too.
  [[nodiscard]] std::future<Response> async(Request request) {
    Call call(std::move(request));
    auto response = call.response();
    const AppendResult result = stream_.append(std::move(call));
    if (result != AppendResult::accepted) call.fail(std::make_exception_ptr(AppendError(result)));
    return response;
  }

  /// Answers the calls that are in, takes no more.
  void close() { (void)consumer_.close(); }
  [[nodiscard]] Stats stats() const { return consumer_.stats(); }

 private:
  /// A request on its way, with the promise of its response. Whatever becomes of it, it answers.
  class Call {
   public:
    explicit Call(Request request) : request_(std::move(request)), answer_(std::in_place) {}
    Call(Call&& other) noexcept(std::is_nothrow_move_constructible_v<Request>)
        : request_(std::move(other.request_)),
          answer_(std::exchange(other.answer_, std::nullopt)) {}
    Call& operator=(Call&&) = delete;
    ~Call() {
      if (answer_)
        fail(std::make_exception_ptr(NotDelivered(
            Outcome::handed_back, "batched function: closed before the call was answered")));
    }

    [[nodiscard]] std::future<Response> response() { return answer_->get_future(); }
    [[nodiscard]] Request& request() noexcept { return request_; }
    template <class V>
    void answer(V&& value) {
      answer_->set_value(std::forward<V>(value));
      answer_.reset();
    }
    void fail(const std::exception_ptr& error) {
      if (!answer_) return;
      answer_->set_exception(error);
      answer_.reset();
    }

   private:
    Request request_;
    std::optional<std::promise<Response>> answer_;
  };

  template <class F>
  static auto answerer(F function) {
    using Responses = std::invoke_result_t<F&, std::span<Request>>;
    static_assert(std::ranges::input_range<Responses> && std::ranges::sized_range<Responses>,
                  "microbatch: a batched function takes std::span<Request> and returns a sized "
                  "range of responses");
    static_assert(std::convertible_to<std::ranges::range_reference_t<Responses>, Response>,
                  "microbatch: a batched function returns a range of responses of type Response");
    return [function = std::move(function)](std::span<Call> calls) mutable {
      try {
        std::vector<Request> requests;
        requests.reserve(calls.size());
        for (Call& call : calls) requests.push_back(std::move(call.request()));
        auto responses = std::invoke(function, std::span<Request>(requests));
        const auto count = static_cast<std::size_t>(std::ranges::size(responses));
        if (count != calls.size()) throw ResponseCountError(calls.size(), count);
        auto call = calls.begin();
        for (auto&& response : responses)
          (call++)->answer(static_cast<Response>(std::forward<decltype(response)>(response)));
      } catch (...) {
        for (Call& call : calls) call.fail(std::current_exception());
      }
    };
  }

  Stream<Call> stream_;
  Consumer<Call> consumer_;
};

}  // namespace microbatch::inline v0_1
