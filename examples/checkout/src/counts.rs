//! How often each function was really called: what a measurement must find.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub(crate) static HANDLE_CHECKOUT: Count = Count::new();
pub(crate) static VALIDATE_CART: Count = Count::new();
pub(crate) static CHECK_INVENTORY: Count = Count::new();
pub(crate) static PROCESS_PAYMENT: Count = Count::new();
pub(crate) static VALIDATE_CARD: Count = Count::new();
pub(crate) static CALL_EXTERNAL_API: Count = Count::new();
pub(crate) static SEND_CONFIRMATION: Count = Count::new();

/// All counts, as one JSON object.
pub(crate) fn json() -> String {
    let counts = [
        ("handleCheckout", &HANDLE_CHECKOUT),
        ("validateCart", &VALIDATE_CART),
        ("checkInventory", &CHECK_INVENTORY),
        ("processPayment", &PROCESS_PAYMENT),
        ("validateCard", &VALIDATE_CARD),
        ("callExternalAPI", &CALL_EXTERNAL_API),
        ("sendConfirmation", &SEND_CONFIRMATION),
    ];
    let fields = counts.map(|(name, count)| format!("\"{name}\":{}", count.0.load(Relaxed)));
    format!("{{{}}}\n", fields.join(","))
}

/// The calls of one function.
pub(crate) struct Count(AtomicU64);

impl Count {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}
