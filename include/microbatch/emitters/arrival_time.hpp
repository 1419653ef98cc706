#pragma once

namespace microbatch::inline v0_1 {

/// In the place of a timestamp function: windows go by when items arrived here, not by when they
/// say they happened.
struct ArrivalTime {};

}  // namespace microbatch::inline v0_1
