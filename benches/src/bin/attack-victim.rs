//! The victim of the attack suite: the facades, with a counting allocator.

use lacewing_benches::{Error, attack};

#[global_allocator]
static ALLOCATOR: attack::heap::Peak = attack::heap::Peak;

fn main() -> Result<(), Error> {
    attack::victim()
}
