//! The soak: mixed traffic for a time, many connections, restarts under load, and processes
//! that are killed. Afterwards memory, descriptors and tasks are back where they were.

use lacewing_benches::{Error, allocations::Counting, soak};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> Result<(), Error> {
    soak::run(std::env::args())
}
