//! The HTTP service under test tells the truth about the requests that it gets.

mod common;

use common::http::Service;
use common::{compile, need};

#[test]
fn the_truth_is_of_the_requests() {
    for go in need!(compile::gos()) {
        let mut service = Service::spawn(&need!(compile::go_http(&go, &[])));
        for (path, status, body) in [
            ("/api/checkout", 200, "confirmed\n"),
            (
                "/api/checkout?cart=empty",
                402,
                "the cart \"empty\" is empty\n",
            ),
            ("/api/checkout?refuse", 402, "refused\n"),
            ("/api/list", 200, "page 0\npage 1\npage 2\n"),
            ("/health", 200, "ok\n"),
        ] {
            assert_eq!(service.get(path), (status, body.to_owned()), "{path}");
        }
        let truth = service.truth();
        let told = serde_json::from_str(&service.get("/truth").1).ok();
        assert_eq!(told, Some(truth.clone()));
        let paths = [("/api/checkout", 3), ("/api/list", 1), ("/health", 1)];
        assert_eq!(
            truth.paths,
            paths.map(|(path, count)| (path.into(), count)).into()
        );
        let functions = [
            ("main.handleCheckout", 3, 0),
            ("main.validateCart", 3, 1),
            ("main.checkInventory", 3, 1),
            ("main.processPayment", 2, 1),
            ("main.validateCard", 2, 0),
            ("main.callExternalAPI", 2, 0),
            ("main.recordTransaction", 2, 1),
            ("main.sendConfirmation", 1, 0),
            ("main.handleList", 1, 0),
            ("main.loadPage", 3, 0),
            ("main.handleHealth", 1, 0),
        ];
        let calls = functions.map(|(name, calls, _)| (name.into(), calls));
        let failed = functions.map(|(name, _, failed)| (name.into(), failed));
        assert_eq!(
            (truth.functions, truth.failed),
            (calls.into(), failed.into())
        );
        assert!(service.quit().success());
    }
}
