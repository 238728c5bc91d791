//! What the programs `coral-tui` and `coral` are made of. ARCHITECTURE.md has the map.

pub mod export;
pub mod recording;
pub mod symbols;
