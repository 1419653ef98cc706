#pragma once

#include <librdkafka/rdkafka.h>

#include <microbatch/core/clock.hpp>

namespace microbatch::inline v0_1::kafka::detail {

/// Asks the broker what a consumer's group has committed of these partitions, into their `offset`:
/// RD_KAFKA_OFFSET_INVALID where that is nothing. Where a transaction is open that may still commit
/// an offset, `err` is RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT: ask again.
///
/// librdkafka's own ways do not serve. rd_kafka_committed() keeps its caller waiting for the end of
/// the transaction. A partition that is assigned without an offset does wait; but if the assignment
/// changes meanwhile, it begins as if nothing had been committed (seen in 2.0.2).
[[nodiscard]] rd_kafka_resp_err_t find_committed(rd_kafka_t* consumer, const char* group,
                                                 rd_kafka_topic_partition_list_t& partitions,
                                                 Duration within);

}  // namespace microbatch::inline v0_1::kafka::detail
