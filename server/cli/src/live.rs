//! The live page, on an address of its own.

use std::net::SocketAddr;

use lacewing_server::{
    MemoryBudget,
    live::{Board, Gauge, Page},
};

/// Binds the address of the page, if there is one.
pub(crate) async fn bind(
    address: Option<SocketAddr>,
    memory: &MemoryBudget,
) -> Result<Option<(Board, Page)>, String> {
    let Some(address) = address else {
        return Ok(None);
    };
    let board = Board::new(concat!("lacewingd ", env!("CARGO_PKG_VERSION")));
    let memory = memory.clone();
    board.set_gauges(move || {
        let (held, capacity) = (memory.held(), memory.capacity());
        vec![Gauge::new("memory of all connections", held, capacity)]
    });
    let page = Page::bind(address, board.clone()).await;
    let page = page.map_err(|error| format!("--status {address}: {error}"))?;
    Ok(Some((board, page)))
}
