#include "group_offsets.hpp"

#include "client.hpp"

namespace microbatch::inline v0_1::kafka::detail {

rd_kafka_resp_err_t find_committed(rd_kafka_t* consumer, const char* group,
                                   rd_kafka_topic_partition_list_t& partitions, Duration within) {
  using Options = Handle<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy>;
  using Request =
      Handle<rd_kafka_ListConsumerGroupOffsets_t, rd_kafka_ListConsumerGroupOffsets_destroy>;
  const Options options(
      rd_kafka_AdminOptions_new(consumer, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS));
  if (const auto code = rd_kafka_AdminOptions_set_request_timeout(options.get(),
                                                                  milliseconds(within), nullptr, 0);
      code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return code;
  if (const KafkaError error(rd_kafka_AdminOptions_set_require_stable_offsets(options.get(), 1));
      error)
    return rd_kafka_error_code(error.get());
  const Request request(rd_kafka_ListConsumerGroupOffsets_new(group, &partitions));
  const Queue answers(rd_kafka_queue_new(consumer));
  auto* asked = request.get();
  rd_kafka_ListConsumerGroupOffsets(consumer, &asked, 1, options.get(), answers.get());
  const Event event(rd_kafka_queue_poll(answers.get(), -1));  // it comes within the request's time
  if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return code;
  const auto* const result = rd_kafka_event_ListConsumerGroupOffsets_result(event.get());
  std::size_t n = 0;
  const auto* const* const groups = rd_kafka_ListConsumerGroupOffsets_result_groups(result, &n);
  if (const rd_kafka_error_t* error = rd_kafka_group_result_error(groups[0]))
    return rd_kafka_error_code(error);
  const auto* const found = rd_kafka_group_result_partitions(groups[0]);
  for (int i = 0; i < partitions.cnt; ++i) {
    auto& partition = partitions.elems[i];
    partition.offset = RD_KAFKA_OFFSET_INVALID;
    if (const auto* of =
            rd_kafka_topic_partition_list_find(found, partition.topic, partition.partition)) {
      partition.offset = of->offset;
      partition.err = of->err;
    }
  }
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

}  // namespace microbatch::inline v0_1::kafka::detail
