//! Globs: text in which `*` stands for any other.

/// Whether a glob, whose `*` stands for any text, matches the whole of a text. Where a later part
/// does not fit, the last `*` takes one more byte: at worst the product of both lengths.
pub fn glob_matches(glob: &str, name: &str) -> bool {
    let (glob, name) = (glob.as_bytes(), name.as_bytes());
    let (mut in_glob, mut in_name) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        if glob.get(in_glob) == Some(&b'*') {
            last_star = Some((in_glob, in_name));
            in_glob += 1;
        } else if glob.get(in_glob) == Some(&name[in_name]) {
            in_glob += 1;
            in_name += 1;
        } else if let Some((star, taken)) = last_star {
            last_star = Some((star, taken + 1));
            in_glob = star + 1;
            in_name = taken + 1;
        } else {
            return false;
        }
    }
    glob[in_glob..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    proptest! {
        #[test]
        fn globs_match_what_the_same_regex_matches(glob in "[ab*]{0,8}", name in "[ab]{0,12}") {
            let regex = format!("^{}$", glob.replace('*', ".*"));
            let expected = Regex::new(&regex).unwrap().is_match(&name);
            prop_assert_eq!(glob_matches(&glob, &name), expected);
        }
    }
}
