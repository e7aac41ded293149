//! The columns of both relations, in order, in groups.

use std::sync::LazyLock;

use super::{Column, Holds, Made, flag, inside, int, json, made, same, text, time};

const ID: Column = text("id");
const NAME: Column = made("name", "name", Holds::Text, Made::Name);
const RETRIEVED_AT: Column = made("retrieved_at", "retrieved_on", Holds::Time, Made::Retrieved);
const EDITED: Column = made("edited", "edited", Holds::Edited, Made::EditedFlag);
const EDITED_AT: Column = made("edited_at", "edited", Holds::Edited, Made::EditedAt);
const CREATED_UTC: Column = time("created_utc");
const FILE: Column = made("_file", "", Holds::Text, Made::File);
const RECORD: Column = made("_record", "", Holds::Int, Made::Record);
const JSON: Column = made("json", "", Holds::Text, Made::Text);

/// Where it was written.
const SUBREDDIT: &[Column] =
    &[text("subreddit"), text("subreddit_id"), text("subreddit_type"), text("subreddit_name_prefixed")];

/// Who wrote it.
const AUTHOR: &[Column] = &[
    text("author"),
    text("author_fullname"),
    time("author_created_utc"),
    text("author_flair_text"),
    text("author_flair_css_class"),
    text("author_flair_type"),
    text("author_flair_template_id"),
    text("author_flair_text_color"),
    text("author_flair_background_color"),
    json("author_flair_richtext"),
    flag("author_premium"),
    flag("author_patreon_flair"),
    flag("author_cakeday"),
];

/// When, and what readers made of it.
const HISTORY: &[Column] = &[CREATED_UTC, RETRIEVED_AT, EDITED, EDITED_AT, int("score"), int("ups"), int("downs")];

/// What it was given.
const AWARDS: &[Column] =
    &[int("gilded"), json("gildings"), int("total_awards_received"), json("all_awardings"), json("awarders")];

/// What moderators did and were told; null but for those who may know.
const MODERATORS: &[Column] = &[
    text("approved_by"),
    time("approved_at_utc"),
    text("banned_by"),
    time("banned_at_utc"),
    text("mod_note"),
    text("mod_reason_title"),
    text("mod_reason_by"),
    json("mod_reports"),
    json("user_reports"),
    json("report_reasons"),
];

/// What Arctic Shift found at its second fetch.
const FOUND_LATER: &[Column] = &[
    text("removal_type"),
    flag("is_edited"),
    flag("was_deleted_later"),
    flag("was_initially_deleted"),
    flag("no_2nd_retrieval"),
    time("retrieved_2nd_on"),
    text("note"),
    json("_meta"),
];

/// Where the row comes from.
const PLACE: &[Column] = &[FILE, RECORD, JSON];

pub(super) static COMMENTS: LazyLock<Vec<Column>> = LazyLock::new(|| {
    [
        &[ID, NAME][..],
        SUBREDDIT,
        AUTHOR,
        HISTORY,
        &[
            text("body"),
            text("body_html"),
            text("link_id"),
            made("link", "link_id", Holds::Text, Made::Bare),
            text("parent_id"),
            made("parent", "parent_id", Holds::Text, Made::Bare),
            text("link_title"),
            text("link_author"),
            text("link_url"),
            text("link_permalink"),
            text("permalink"),
            int("depth"),
            int("num_comments"),
            flag("over_18"),
            flag("quarantine"),
            flag("is_submitter"),
            int("controversiality"),
        ],
        AWARDS,
        &[
            text("associated_award"),
            text("top_awarded_type"),
            json("treatment_tags"),
            text("comment_type"),
            text("distinguished"),
            flag("stickied"),
            flag("locked"),
            flag("archived"),
            flag("saved"),
            flag("score_hidden"),
            flag("collapsed"),
            text("collapsed_reason"),
            text("collapsed_reason_code"),
            text("collapsed_because_crowd_control"),
            text("unrepliable_reason"),
            flag("no_follow"),
            flag("send_replies"),
            flag("can_gild"),
            flag("can_mod_post"),
            flag("likes"),
        ],
        MODERATORS,
        &[
            int("num_reports"),
            json("media_metadata"),
            json("expression_asset_data"),
            text("removed_by_category"),
            text("removed_by"),
            text("removal_reason"),
        ],
        FOUND_LATER,
        PLACE,
    ]
    .concat()
});

pub(super) static SUBMISSIONS: LazyLock<Vec<Column>> = LazyLock::new(|| {
    [
        &[
            ID,
            NAME,
            text("title"),
            text("selftext"),
            text("selftext_html"),
            text("url"),
            text("url_overridden_by_dest"),
            text("domain"),
            text("permalink"),
            text("thumbnail"),
            int("thumbnail_width"),
            int("thumbnail_height"),
            text("post_hint"),
        ][..],
        SUBREDDIT,
        &[int("subreddit_subscribers")],
        AUTHOR,
        &[flag("author_is_blocked")],
        HISTORY,
        &[
            same("upvote_ratio", Holds::Float),
            int("num_comments"),
            int("num_crossposts"),
            int("num_reports"),
            int("view_count"),
            text("crosspost_parent"),
            json("crosspost_parent_list"),
            json("media"),
            inside("media_type", "media", &["type"]),
            inside("media_url", "media", &["oembed", "url"]),
            inside("media_title", "media", &["oembed", "title"]),
            inside("media_description", "media", &["oembed", "description"]),
            inside("media_author", "media", &["oembed", "author_name"]),
            inside("media_author_url", "media", &["oembed", "author_url"]),
            inside("media_html", "media", &["oembed", "html"]),
            inside("media_thumbnail_url", "media", &["oembed", "thumbnail_url"]),
            inside("media_video_url", "media", &["reddit_video", "fallback_url"]),
            json("media_embed"),
            json("secure_media"),
            json("secure_media_embed"),
            flag("media_only"),
            json("media_metadata"),
            json("gallery_data"),
            json("poll_data"),
            json("preview"),
            json("event_data"),
            json("collections"),
            flag("over_18"),
            flag("spoiler"),
            flag("is_self"),
            flag("is_video"),
            flag("is_gallery"),
            flag("is_meta"),
            flag("is_original_content"),
            flag("is_reddit_media_domain"),
            flag("is_robot_indexable"),
            flag("is_crosspostable"),
            flag("is_created_from_ads_ui"),
            text("link_flair_text"),
            text("link_flair_css_class"),
            text("link_flair_type"),
            text("link_flair_template_id"),
            text("link_flair_text_color"),
            text("link_flair_background_color"),
            json("link_flair_richtext"),
        ],
        AWARDS,
        &[
            text("top_awarded_type"),
            json("treatment_tags"),
            text("distinguished"),
            flag("stickied"),
            flag("locked"),
            flag("archived"),
            flag("pinned"),
            flag("hidden"),
            flag("saved"),
            flag("clicked"),
            flag("visited"),
            flag("hide_score"),
            flag("quarantine"),
            flag("contest_mode"),
            flag("no_follow"),
            flag("send_replies"),
            flag("allow_live_comments"),
            flag("brand_safe"),
            flag("can_gild"),
            flag("can_mod_post"),
            flag("likes"),
            text("suggested_sort"),
            text("discussion_type"),
            text("category"),
            json("content_categories"),
            text("whitelist_status"),
            text("parent_whitelist_status"),
            int("wls"),
            int("pwls"),
        ],
        MODERATORS,
        &[text("removed_by"), text("removed_by_category"), text("removal_reason")],
        FOUND_LATER,
        PLACE,
    ]
    .concat()
});
