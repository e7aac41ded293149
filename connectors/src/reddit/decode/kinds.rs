//! What real tools write, a line each: which records become rows of comments and of submissions, how many are rejected.

use super::tests::{decode, reasons, values};
use super::*;

/// The ids of the rows of comments and of submissions, and the rejects of each.
fn check(text: &str, comments: &[&str], submissions: &[&str], rejects: [usize; 2]) {
    for (kind, ids, rejects) in [(Kind::Comments, comments, rejects[0]), (Kind::Submissions, submissions, rejects[1])] {
        let decoded = decode(kind, text);
        assert_eq!(values(&decoded.rows, "id"), ids, "{kind:?} of {text}: {:?}", reasons(&decoded));
        assert_eq!(reasons(&decoded).len(), rejects, "{kind:?} of {text}: {:?}", reasons(&decoded));
        assert_eq!(decoded.records, (ids.len() + rejects) as u64, "{text}");
    }
}

#[test]
fn a_comment_is_told_from_a_submission() {
    let c = |text: &str| check(text, &["a"], &[], [0, 0]);
    let s = |text: &str| check(text, &[], &["a"], [0, 0]);
    c(r#"{"id":"a","body":"b"}"#);
    c(r#"{"id":"a","body":"b","title":null,"selftext":null,"num_comments":null}"#);
    c(r#"{"id":"a","body":"b","title":""}"#);
    c(r#"{"id":"a","body":"","title":null}"#);
    c(r#"{"id":"a","body":"b","title":"of the post","link_id":"t3_p"}"#);
    c(r#"{"id":"a","body":null,"link_id":"t3_p"}"#);
    c(r#"{"id":"a","parent_id":"t1_p"}"#);
    c(r#"{"id":"a","parent_id":40133331511}"#);
    c(r#"{"id":"t1_a","score":1}"#);
    c(r#"{"id":"a","name":"t1_a"}"#);
    c(r#"{"name":"t1_a"}"#);
    c(r#"{"id":"a","kind":"t1"}"#);
    c(r#"{"id":"a","kind":"comment","body":"b"}"#);
    c(r#"{"id":"a","name":"A title of somebody's","body":"b","subreddit":"s"}"#);
    c(r#"{"id":"a","body":"b","data":{"x":1},"children":null}"#);
    c(r#"{"id":"a","body":"b","kind":"textual"}"#);
    c(r#"{"id":"a","body":"b","replies":"","comments":3}"#);
    c(r#"{"id":"a","body":"b","title":"nan","link_id":"nan","num_comments":"nan"}"#);
    c(r#"{"id":"a","body":"b","title":"of the post","is_submitter":false}"#);
    c(r#"{"id":"a","body":"b","title":"of the post","submission_id":"p"}"#);
    c(r#"{"comment_id":"a","body":"b","post_id":"p"}"#);
    c(r#"{"id":"a","body":"b","title":"of the post","permalink":"/r/s/comments/p/of_the_post/a/"}"#);
    c(r#"{"id":"a","body":"b","title":"of the post","url":"https://www.reddit.com/r/s/comments/p/x/a?context=3"}"#);
    s(r#"{"id":"a","body":"b","title":"t","permalink":"/r/s/comments/a/t/"}"#);
    s(r#"{"id":"a","title":"t","body":"nan","link_id":"nan","parent_id":"None"}"#);
    s(r#"{"post_id":"a","title":"t","score":1}"#);
    s(r#"{"id":"a","title":"t","submission_id":"a","body":"text of the post"}"#);
    s(r#"{"id":"a","title":"t"}"#);
    s(r#"{"id":"a","title":"t","body":null,"link_id":null,"parent_id":null}"#);
    s(r#"{"id":"a","title":"t","body":"text of the post","num_comments":1}"#);
    s(r#"{"id":"a","title":"t","body":""}"#);
    s(r#"{"id":"a","title":"","body":null}"#);
    s(r#"{"id":"a","selftext":"x","url":"https://e.example"}"#);
    s(r#"{"id":"t3_a","selftext":"x"}"#);
    s(r#"{"id":"a","name":"t3_a"}"#);
    s(r#"{"id":"a","num_comments":3,"score":4}"#);
    s(r#"{"id":"a","kind":"submission"}"#);
    s(r#"{"id":"a","title":"t","link_id":"","comments":0}"#);
    let either = |text: &str| check(text, &["a"], &["a"], [0, 0]);
    either(r#"{"id":"a"}"#);
    either(r#"{"id":"a","stickied":0.0}"#);
    either(r#"{"id":"a","score":1,"mine":true}"#);
    either(r#"{"id":"a","name":"a","score":1}"#);
    either(r#"{"_id":"a","score":1}"#);
}

#[test]
fn what_is_no_record_is_a_reject_or_passed_over() {
    for rejected in [
        r#"{"id":"6c1xj","name":"someuser","comment_karma":5,"link_karma":1,"created_utc":1300000000.0}"#,
        r#"{"id":"6c1xj","name":"someuser","created_utc":1300000000.0}"#,
        r#"{"id":"e8bff742-c246-11ea-962c-0e803a066d31","text":"flair","cssClass":"c","modOnly":false}"#,
        r#"{"id":"e8bff742-c246-11ea-962c-0e803a066d31","type":"text","text":"flair"}"#,
        r#"{"id":"widget_159i7bx40zsxa","kind":"textarea","shortName":"s","text":"t"}"#,
        r#"{"id":"ann_b7arjw","subject":"News","body":"hello all","sent_at":"2021-01-01"}"#,
        r#"{"name":"python","display_name":"python","subscribers":5}"#,
        r#"{"id":"2qh0y","display_name":"python","title":"Python","subscribers":5}"#,
        r#"{"id":"abc","subject":"re: x","body":"hi","dest":"me","author":"you"}"#,
        r#"{"id":"dQw4w9WgXcQ","title":"a video","thumbnail":"x"}"#,
        r#"{"id":"550e8400-e29b","title":"a post of another site","score":3}"#,
        r#"{"id":8863,"title":"a story","score":104}"#,
        r#"{"id":"abc","width":3,"height":4}"#,
        r#"{"message":"Forbidden","error":403}"#,
        r#"{"id":"abc12","username":"someuser","karma":5,"created_utc":1500000000}"#,
        r#"{"id":{"0":"a","1":"b"},"body":{"0":"x","1":"y"}}"#,
        r#"{"columns":["id","body"],"index":[0],"data":[["a","x"]]}"#,
        r#"["a","b"]"#,
        r#"{"_id":{"$oid":"507f1f77bcf86cd799439011"},"body":"b"}"#,
        r#"{"a":{"b":{"c":1}}}"#,
        r#"{"calls":[{"request":{"body":"kind=crosspost","method":"POST"},"response":{"body":{"string":"x"},"url":"https://e.example"}}]}"#,
    ] {
        check(rejected, &[], &[], [1, 1]);
    }
    for (passed, how_many) in [
        (r#"{"kind":"t5","data":{"id":"2qh0y","name":"t5_2qh0y","title":"Python"}}"#, 1),
        (r#"{"kind":"t2","data":{"id":"6c1xj","name":"someuser"}}"#, 1),
        (r#"{"id":"2qh0y","name":"t5_2qh0y","title":"Python"}"#, 1),
        (r#"{"id":"x","name":"t4_x","body":"a message"}"#, 1),
        (r#"{"kind":"more","data":{"id":"_","children":[],"count":0,"name":"t1__","parent_id":"t1_m2"}}"#, 1),
        (r#"{"kind":"Listing","data":{"children":[],"after":null}}"#, 0),
        ("[]", 0),
    ] {
        let decoded = decode(Kind::Comments, passed);
        assert_eq!((decoded.records, decoded.passed_over), (0, how_many), "{passed}: {:?}", reasons(&decoded));
    }
}

#[test]
fn records_are_found_wherever_they_lie() {
    let both = |text: &str, comments: &[&str], submissions: &[&str]| check(text, comments, submissions, [0, 0]);
    // Trees of scripts: the parent is a record too.
    both(
        r#"[{"id":"k1","body":"top","children":[{"id":"k2","body":"reply","children":[]}]},{"id":"k3","body":"c"}]"#,
        &["k1", "k2", "k3"],
        &[],
    );
    both(
        r#"{"id":"s","title":"t","comments":[{"id":"c","body":"b","replies":[{"id":"d","body":"b"}]}]}"#,
        &["c", "d"],
        &["s"],
    );
    both(
        r#"{"id":"s","title":"t","num_comments":2,"comments":{"kind":"Listing","data":{"children":[{"kind":"t1","data":{"id":"c"}}]}}}"#,
        &["c"],
        &["s"],
    );
    both(
        r#"{"json":{"errors":[],"data":{"things":[{"kind":"t1","data":{"id":"m1","body":"x","parent_id":"t3_l"}},{"kind":"more","data":{"id":"_","children":[]}}]}}}"#,
        &["m1"],
        &[],
    );
    both(
        r#"{"json":{"data":{"things":[{"kind":"t1","data":{"id":"c1","parent":"t3_x","content":"html"}}]}}}"#,
        &["c1"],
        &[],
    );
    both(
        r#"{"kind":"t6","data":{"sorted_links":{"kind":"Listing","data":{"children":[{"kind":"t3","data":{"id":"s1","title":"t"}}]}}}}"#,
        &[],
        &["s1"],
    );
    both(
        r#"{"collection_id":"x","sorted_links":{"kind":"Listing","data":{"children":[{"kind":"t3","data":{"id":"s1","title":"t"}}]}}}"#,
        &[],
        &["s1"],
    );
    both(r#"{"data":[{"id":"a","body":"b"},{"id":"b","body":"b"}],"metadata":{"total":2}}"#, &["a", "b"], &[]);
    both(
        r#"{"posts":[{"id":"a","title":"b"}],"comments":[{"id":"c","body":"b"}],"count":2,"by":{"name":"me"}}"#,
        &["c"],
        &["a"],
    );
    both(r#"{"posts":[{"id":"a","title":"b"},{"id":"b","title":"b"}]}"#, &[], &["a", "b"]);
    both(
        r#"{"id":"a","body":"b","replies":{"b":{"id":"b","body":"b"},"c":{"body":"b","score":1}}}"#,
        &["a", "b", "c"],
        &[],
    );
    both(
        r#"{"schema":{"fields":[{"name":"id","type":"string"}]},"data":[{"index":0,"id":"a","body":"b"}]}"#,
        &["a"],
        &[],
    );
    both(r#"{"submission":{"id":"a","title":"b"},"answers":[{"id":"c","body":"b"}]}"#, &["c"], &["a"]);
    both(r#"{"abc":{"id":"abc","body":"x"},"abd":{"id":"abd","body":"y"}}"#, &["abc", "abd"], &[]);
    both(r#"{"abc":{"body":"x","score":1},"t1_abd":{"body":"y"}}"#, &["abc", "abd"], &[]);
    both(r#"{"abc":{"title":"x","ups":1},"total":2}"#, &[], &["abc"]);
    both(r#"[[{"id":"a","body":"b"}],[{"id":"b","title":"b"}]]"#, &["a"], &["b"]);
    both(r#"{"fetched_at":5,"listing":{"abc":{"id":"abc","body":"x"}}}"#, &["abc"], &[]);
    // What is inside a record is its own.
    both(r#"{"id":"a","body":"b","data":{"id":7},"children":[{"x":1}],"comments":[1]}"#, &["a"], &[]);
    both(r#"{"id":"a","title":"t","crosspost_parent_list":[{"id":"b","title":"t","name":"t3_b"}]}"#, &[], &["a"]);
    both(r#"{"kind":"t3","data":{"id":"a","kind":"x","data":{"y":1}}}"#, &[], &["a"]);
    // A bad one costs itself alone.
    check(r#"{"data":[{"id":"a","body":"b"},{"body":"b"}]}"#, &["a"], &[], [1, 1]);
}

#[test]
fn nearly_json_is_read() {
    let ok = |text: &str, ids: &[&str]| check(text, ids, &[], [0, 0]);
    ok("{\"id\":\"a\",\"body\":\"b\",\"author\":NaN,\"score\":Infinity}", &["a"]);
    ok("{\"id\":\"a\",\"body\":\"b\"},\n{\"id\":\"b\",\"body\":\"b\"},\n", &["a", "b"]);
    ok("{\"id\":\"a\",\"body\":\"b\"}{\"id\":\"b\",\"body\":\"b\"}\n{\"id\":\"c\",\"body\":\"b\"}\n", &["a", "b", "c"]);
    ok(
        "\0\0\0{\"id\":\"a\",\"body\":\"b\"}\0\0\n\0\0\n{\"id\":\"b\",\"body\":\"b\"}\0{\"id\":\"c\",\"body\":\"b\"}\n",
        &["a", "b", "c"],
    );
    ok("\u{1e}{\"id\":\"a\",\"body\":\"b\"}\n\u{feff}{\"id\":\"b\",\"body\":\"b\"}\n", &["a", "b"]);
    ok("{'id': 'a', 'body': \"it's\", 'author': None, 'stickied': False}\n", &["a"]);
    ok("[{\"id\":\"a\",\"body\":\"b\",},]\n", &["a"]);
    ok("\"{\\\"id\\\":\\\"a\\\",\\n\\\"body\\\":\\\"b\\\"}\"\n", &["a"]);
    check("{\"id\":\"a\",\"body\":\"b\"} rubbish\n{\"id\":\"b\",\"body\":NaN}\n", &["b"], &["b"], [1, 1]);
    let decoded = decode(
        Kind::Comments,
        "{\"id\":\"a\",\"body\":\"b\"}\n{\"id\":\"b\",\"body\":\"b\",\"score\":NaN}\n{\"id\":\"c\",\"body\":\"b\",\"score\":1}\n",
    );
    assert_eq!(
        (values(&decoded.rows, "score"), values(&decoded.rows, "_record")),
        (vec!["-".into(), "-".into(), "1".to_owned()], vec!["1".into(), "2".into(), "3".to_owned()])
    );
}

/// The value of `column` of one comment with `fields`, or why there is none.
fn comment(fields: &str, column: &str) -> String {
    one(Kind::Comments, fields, column)
}

fn one(kind: Kind, fields: &str, column: &str) -> String {
    let prefix = kind.prefix();
    let decoded = decode(kind, &format!("{{\"name\":\"{prefix}x\",\"id\":\"x\",{fields}}}\n"));
    match decoded.rejects.first() {
        Some(reject) => reject.reason.clone(),
        None => values(&decoded.rows, column).pop().unwrap_or_else(|| "no row".to_owned()),
    }
}

#[test]
fn times_come_in_many_forms() {
    let expect = "2016-01-31T12:00:01Z";
    for field in [
        "\"created_utc\":1454241601000",
        "\"created_utc\":1454241601000.0",
        "\"created_utc\":\"1454241601000\"",
        "\"created_utc\":1454241601000000",
        "\"created_utc\":1454241601000000000",
        "\"created_utc\":{\"$date\":\"2016-01-31T12:00:01Z\"}",
        "\"created_utc\":{\"$date\":1454241601000}",
        "\"created_utc\":{\"$date\":{\"$numberLong\":\"1454241601000\"}}",
        "\"created_utc\":{\"$numberLong\":\"1454241601\"}",
        "\"created_utc\":{\"$numberInt\":\"1454241601\"}",
        "\"created_utc\":{\"$numberDouble\":\"1454241601.0\"}",
        "\"created_utc\":\"2016-01-31 12:00:01\"",
        "\"created_utc\":\"2016-01-31 12:00:01+00:00\"",
        "\"created_utc\":\"2016-01-31T13:00:01+01:00\"",
        "\"created_utc\":\"2016-01-31 12:00:01 UTC\"",
        "\"created_utc\":\"Sun, 31 Jan 2016 12:00:01 GMT\"",
        "\"created\":1454241601.0",
        "\"created_at\":\"2016-01-31T12:00:01Z\"",
        "\"createdAt\":\"2016-01-31T12:00:01Z\"",
        "\"timestamp\":\"2016-01-31 12:00:01\"",
        "\"utc_datetime_str\":\"2016-01-31 12:00:01\"",
        "\"created\":1,\"created_utc\":1454241601",
        "\"created_utc\":1454241601,\"created\":1",
        "\"created_utc\":null,\"created\":1454241601",
    ] {
        assert_eq!(comment(field, "created_utc"), expect, "{field}");
    }
    for nothing in [
        "\"created_utc\":\"\"",
        "\"created_utc\":NaN",
        "\"created_utc\":\"nan\"",
        "\"created_utc\":{\"$undefined\":true}",
    ] {
        assert_eq!(comment(nothing, "created_utc"), "-", "{nothing}");
    }
    assert_eq!(comment("\"created_utc\":{\"a\":1}", "created_utc"), "field \"created_utc\" is an object, not a time");
}

#[test]
fn edited_counts_zero_and_one_as_flags() {
    for (value, edited, at) in [
        ("0", "false", "-"),
        ("0.0", "false", "-"),
        ("\"0\"", "false", "-"),
        ("\"0.0\"", "false", "-"),
        ("1", "true", "-"),
        ("1.0", "true", "-"),
        ("\"1\"", "true", "-"),
        ("\"\"", "-", "-"),
        ("\"False\"", "false", "-"),
        ("1600000000000", "true", "2020-09-13T12:26:40Z"),
        ("\"1600000000.0\"", "true", "2020-09-13T12:26:40Z"),
        ("{\"$numberDouble\":\"1600000000.0\"}", "true", "2020-09-13T12:26:40Z"),
        ("{\"$date\":1600000000000}", "true", "2020-09-13T12:26:40Z"),
    ] {
        let field = format!("\"edited\":{value}");
        assert_eq!(
            (comment(&field, "edited").as_str(), comment(&field, "edited_at").as_str()),
            (edited, at),
            "{value}"
        );
    }
}

#[test]
fn flags_and_numbers_come_as_floats_texts_and_extended_json() {
    for (value, expect) in [
        ("0.0", "false"),
        ("1.0", "true"),
        ("\"1.0\"", "field \"stickied\" is \"1.0\", not true or false"),
        ("\"1\"", "true"),
        ("\"True\"", "true"),
        ("\"t\"", "true"),
        ("\"no\"", "false"),
        ("\"\"", "-"),
        ("null", "-"),
        ("0.5", "field \"stickied\" is 0.5, not true or false"),
        ("2", "field \"stickied\" is 2, not true or false"),
        ("{\"$numberInt\":\"1\"}", "true"),
    ] {
        let expect = if value == "\"1.0\"" { "true" } else { expect };
        assert_eq!(comment(&format!("\"stickied\":{value}"), "stickied"), expect, "{value}");
    }
    for value in [
        "5",
        "5.0",
        "\"5\"",
        "\"5.0\"",
        "{\"$numberInt\":\"5\"}",
        "{\"$numberLong\":\"5\"}",
        "{\"$numberDouble\":\"5.0\"}",
        "{\"$numberDecimal\":\"5\"}",
    ] {
        assert_eq!(comment(&format!("\"score\":{value}"), "score"), "5", "{value}");
    }
    for value in ["{\"$numberDouble\":\"NaN\"}", "\"NaN\"", "\"\"", "null"] {
        assert_eq!(comment(&format!("\"score\":{value}"), "score"), "-", "{value}");
    }
    assert_eq!(comment("\"author_flair_text\":7", "author_flair_text"), "7");
    assert_eq!(comment("\"author\":2.0", "author"), "2.0");
    assert_eq!(one(Kind::Submissions, "\"upvote_ratio\":{\"$numberDecimal\":\"0.5\"}", "upvote_ratio"), "0.5");
}

#[test]
fn authors_and_subreddits_may_be_objects() {
    assert_eq!(comment("\"author\":{\"id\":\"1\",\"name\":\"bob\"}", "author"), "bob");
    assert_eq!(comment("\"author\":null", "author"), "-");
    assert_eq!(comment("\"author\":{\"name\":null}", "author"), "-");
    assert_eq!(comment("\"subreddit\":{\"name\":\"t5_x\",\"display_name\":\"python\"}", "subreddit"), "python");
    assert_eq!(comment("\"subreddit\":{\"name\":\"python\"}", "subreddit"), "python");
    assert_eq!(comment("\"author\":{\"x\":1}", "author"), "field \"author\" is an object, not text");
    assert_eq!(comment("\"_id\":{\"$oid\":\"507f1f77bcf86cd799439011\"},\"body\":\"b\"", "id"), "x");
}

#[test]
fn parents_and_links_have_their_prefix() {
    for (fields, link, parent) in [
        ("\"link_id\":\"t3_l\",\"parent_id\":\"t1_p\"", "t3_l", "t1_p"),
        ("\"link_id\":\"l\",\"parent_id\":\"p\"", "t3_l", "t1_p"),
        ("\"link_id\":\"l\",\"parent_id\":\"l\"", "t3_l", "t3_l"),
        ("\"link_id\":\"t3_l\",\"parent_id\":null", "t3_l", "t3_l"),
        ("\"link_id\":\"t3_l\"", "t3_l", "-"),
        ("\"link_id\":\"t3_l\",\"parent_id\":40133331511", "t3_l", "t1_ifqcks7"),
        ("\"link_id\":\"t3_l\",\"parent_id\":40133331511.0", "t3_l", "t1_ifqcks7"),
        ("\"link_id\":\"t3_l\",\"parent_id\":\"40133331511\"", "t3_l", "t1_ifqcks7"),
        ("\"link_id\":\"t3_l\",\"parent_id\":\"1007046\"", "t3_l", "t1_1007046"),
        ("\"link_id\":\"\",\"parent_id\":\"\"", "-", "-"),
        ("\"submission\":\"l\",\"parent_id\":\"t3_l\"", "t3_l", "t3_l"),
        ("\"submission_id\":\"t3_l\",\"parentId\":\"p\"", "t3_l", "t1_p"),
    ] {
        assert_eq!(
            (comment(fields, "link_id").as_str(), comment(fields, "parent_id").as_str()),
            (link, parent),
            "{fields}"
        );
        let bare = |name: &str| name.get(3..).unwrap_or("-").to_owned();
        assert_eq!((comment(fields, "link"), comment(fields, "parent")), (bare(link), bare(parent)), "{fields}");
    }
}

#[test]
fn what_arctic_shift_found_later_and_what_media_hold() {
    let meta =
        r#""_meta":{"is_edited":true,"removal_type":"deleted","was_deleted_later":true,"retrieved_2nd_on":1454241601}"#;
    for (column, expect) in [
        ("is_edited", "true"),
        ("removal_type", "deleted"),
        ("was_deleted_later", "true"),
        ("retrieved_2nd_on", "2016-01-31T12:00:01Z"),
        ("retrieved_at", "2016-01-31T12:00:01Z"),
        ("_meta", meta.trim_start_matches("\"_meta\":")),
    ] {
        assert_eq!(comment(meta, column), expect, "{column}");
    }
    let media = r#""media":{"type":"youtube.com","oembed":{"title":"a \"film\"","url":"https:\/\/youtu.be\/dQw4w9WgXcQ","author_name":"ann"}}"#;
    for (column, expect) in [
        ("media_type", "youtube.com"),
        ("media_url", "https://youtu.be/dQw4w9WgXcQ"),
        ("media_title", "a \"film\""),
        ("media_author", "ann"),
        ("media_video_url", "-"),
        ("media", media.trim_start_matches("\"media\":")),
    ] {
        assert_eq!(one(Kind::Submissions, media, column), expect, "{column}");
    }
    assert_eq!(one(Kind::Submissions, "\"media\":null", "media_url"), "-");
    assert_eq!(
        one(Kind::Submissions, "\"gallery_data\":{\"items\":[{\"id\":1}]}", "gallery_data"),
        "{\"items\":[{\"id\":1}]}"
    );
    assert_eq!(one(Kind::Submissions, "\"removed_by_category\":\"moderator\"", "removed_by_category"), "moderator");
}

#[test]
fn a_row_says_where_it_stands_and_what_its_record_was() {
    let text = "{\"id\":\"a\",\"body\":\"x\"}\n\n[{\"kind\":\"t1\",\"data\":{\"id\":\"b\",\"body\":\"y\\u00e4\"}}]\n";
    let decoded = decode(Kind::Comments, text);
    assert_eq!(values(&decoded.rows, "_record"), ["1", "3"]);
    assert_eq!(values(&decoded.rows, "_file"), ["p", "p"]);
    assert_eq!(
        values(&decoded.rows, "json"),
        ["{\"id\":\"a\",\"body\":\"x\"}", "{\"id\":\"b\",\"body\":\"y\\u00e4\"}"]
    );
    assert_eq!(values(&decoded.rows, "body"), ["x", "yä"]);
}
