use super::*;

#[derive(Deserialize)]
struct Configuration {
    redaction: Vec<RedactionRule>,
}

fn configured(toml: &str) -> Result<Redaction, RedactionError> {
    let configuration: Configuration = toml::from_str(toml).unwrap();
    Redaction::with_rules(&configuration.redaction)
}

#[test]
fn names_and_types_of_secrets_hide_the_value() {
    let redaction = Redaction::default();
    for (name, type_name, is_hidden) in [
        ("password", "string", true),
        ("userPasswd", "string", true),
        ("req.AuthToken", "string", true),
        ("Authorization", "string", true),
        ("session_cookie", "string", true),
        ("apiKey", "string", true),
        ("API_KEY", "string", true),
        ("ssn", "int", true),
        ("userSSN", "int", true),
        ("user_ssn", "int", true),
        ("card", "string", true),
        ("creditCard", "string", true),
        ("cardId", "int", true),
        ("cardnumber", "string", true),
        ("cvv", "int", true),
        ("it", "secrecy::SecretString", true),
        ("it", "*auth.Credentials", true),
        ("processName", "string", false),
        ("class_name", "string", false),
        ("discard", "bool", false),
        ("cardinality", "int", false),
        ("wildcard", "bool", false),
        ("amount", "int", false),
    ] {
        let expected = if is_hidden { REDACTED } else { "100" };
        assert_eq!(
            redaction.apply(name, type_name, "100"),
            expected,
            "{name} {type_name}"
        );
    }
}

#[test]
fn secrets_inside_of_values_are_replaced() {
    let redaction = Redaction::default();
    for (value, shown) in [
        (
            "t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln;",
            "t=<redacted>;",
        ),
        ("eyJhbGciOiJIUz", "<redacted>"),
        ("Bearer abc.def, x", "<redacted> x"),
        (
            "a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b",
            "a <redacted> b",
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIEv", "<redacted>"),
        ("id AKIAIOSFODNN7EXAMPLE.", "id <redacted>."),
        ("4111111111111111", "<redacted>"),
        ("pay 4111-1111-1111-1111 12/27", "pay <redacted> 12/27"),
        ("22 4111 1111 1111 1111", "<redacted>"),
        ("21 4111 1111 1111 1111", "21 <redacted>"),
        ("378282246310005", "<redacted>"),
        ("4111111111111112", "4111111111111112"),
        ("x4111111111111111", "x4111111111111111"),
        ("411111111111", "411111111111"),
        // A time in nanoseconds whose digits pass the check.
        ("1700000000000000004", "1700000000000000004"),
        ("user@example.com", "user@example.com"),
        ("größe €", "größe €"),
        ("", ""),
    ] {
        assert_eq!(redaction.apply("it", "string", value), shown, "{value}");
    }
}

#[test]
fn ordinary_values_are_borrowed() {
    let shown = Redaction::default()
        .apply("amount", "int", "42")
        .into_owned();
    assert_eq!(shown, "42");
    assert!(matches!(
        Redaction::default().apply("amount", "int", "42"),
        Cow::Borrowed("42")
    ));
}

#[test]
fn configured_rules_come_behind_the_default_ones() {
    let redaction = configured(
        r#"
        [[redaction]]
        find = "email"
        replace = "<email>"
        [[redaction]]
        name = "^order$"
        value = "o_[0-9]+"
        replace = "o_$0"
        [[redaction]]
        type = "Patient"
        [[redaction]]
        value = "x*"
        replace = "-"
        "#,
    )
    .unwrap();
    for (name, type_name, value, shown) in [
        ("it", "string", "to User@example.com!", "to <email>!"),
        ("Order", "string", "id o_12 o_3", "id o_$0 o_$0"),
        ("orders", "string", "o_12", "o_12"),
        ("it", "main.patient", "anything", REDACTED),
        ("token", "string", "o_12", REDACTED),
        ("it", "string", "axxb", "a-b"),
    ] {
        assert_eq!(
            redaction.apply(name, type_name, value),
            shown,
            "{name}: {value}"
        );
    }
}

#[test]
fn rules_that_cannot_be_used_are_refused() {
    for (toml, message) in [
        (
            "[[redaction]]\nreplace = 'x'",
            "redaction rule 1 has none of `name`, `type`, `value` and `find`",
        ),
        (
            "[[redaction]]\nname = 'a'\n[[redaction]]\nvalue = 'a'\nfind = 'email'",
            "redaction rule 2 has both `value` and `find`",
        ),
        (
            "[[redaction]]\nname = '('",
            "redaction rule 1: the pattern `(` cannot be used: ",
        ),
        (
            "[[redaction]]\nname = '(a{1000}){1000}'",
            "redaction rule 1: the pattern `(a{1000}){1000}` cannot be used: ",
        ),
        (
            &"[[redaction]]\nname = 'a'\n".repeat(129),
            "there are more than 128 redaction rules",
        ),
    ] {
        let error = configured(toml).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
    assert!(toml::from_str::<Configuration>("[[redaction]]\nnames = 'a'").is_err());
}
