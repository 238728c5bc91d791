//! A small terminal.
