#pragma once

/// Everything of the core. Read the headers in the order of the data's way: stream.hpp,
/// queue/lane.hpp, concepts/emitter.hpp, engine/engine_core.hpp, core/window.hpp, streaming.hpp.

#include "batched_function.hpp"
#include "consumer.hpp"
#include "emitters/by_key.hpp"
#include "emitters/combine.hpp"
#include "emitters/count_window.hpp"
#include "emitters/fixed_time_window.hpp"
#include "emitters/hopping_window.hpp"
#include "emitters/latency_target_window.hpp"
#include "emitters/max_age_window.hpp"
#include "emitters/opportunistic_window.hpp"
#include "emitters/period_window.hpp"
#include "emitters/predicate_window.hpp"
#include "emitters/relaxed_time_window.hpp"
#include "emitters/session_window.hpp"
#include "emitters/sliding_count_window.hpp"
#include "emitters/tiered_window.hpp"
#include "emitters/tumbling_window.hpp"
#include "emitters/weight_window.hpp"
#include "engine.hpp"
#include "executors/inline_executor.hpp"
#include "executors/thread_pool.hpp"
#include "pipeline.hpp"
#include "stream.hpp"
#include "streaming.hpp"
