#pragma once

namespace microbatch::inline v0_1::sqlite {

inline constexpr int schema_version = 1;

/// See docs/durable.md. A batch's key is its stream's id and its number in the stream, so that a
/// stream's batches lie together, in order, without an index.
inline constexpr const char* schema = R"sql(
CREATE TABLE microbatch_meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO microbatch_meta VALUES ('schema', 1);

CREATE TABLE microbatch_streams(
  id            INTEGER PRIMARY KEY,
  name          TEXT NOT NULL UNIQUE,
  codec         TEXT NOT NULL,
  codec_version INTEGER NOT NULL,
  keep          INTEGER NOT NULL,
  created_at    INTEGER NOT NULL,
  read_at       INTEGER NOT NULL DEFAULT 0,
  head          INTEGER NOT NULL DEFAULT 1,
  first         INTEGER NOT NULL DEFAULT 1,
  ended         INTEGER NOT NULL DEFAULT 0,
  delivered     INTEGER NOT NULL DEFAULT 0,
  dead_lettered INTEGER NOT NULL DEFAULT 0,
  expired       INTEGER NOT NULL DEFAULT 0,
  evicted       INTEGER NOT NULL DEFAULT 0,
  lease_token   INTEGER NOT NULL DEFAULT 0,
  lease_owner   TEXT NOT NULL DEFAULT '',
  lease_until   INTEGER NOT NULL DEFAULT 0,
  lease_boot    TEXT NOT NULL DEFAULT '');

CREATE TABLE microbatch_batches(
  key        INTEGER PRIMARY KEY,
  items      INTEGER NOT NULL,
  written_at INTEGER NOT NULL,
  arrived_at INTEGER NOT NULL,
  boot       TEXT NOT NULL,
  checksum   INTEGER NOT NULL,
  body       BLOB NOT NULL);

CREATE TABLE microbatch_progress(
  key      INTEGER PRIMARY KEY,
  settled  BLOB NOT NULL,
  attempts BLOB NOT NULL,
  checksum INTEGER NOT NULL);

CREATE TABLE microbatch_dead_letters(
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  stream   INTEGER NOT NULL,
  position INTEGER NOT NULL,
  item     BLOB NOT NULL,
  error    TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  died_at  INTEGER NOT NULL,
  checksum INTEGER NOT NULL);
CREATE INDEX microbatch_dead_letters_by_stream ON microbatch_dead_letters(stream, position);

CREATE TABLE microbatch_drops(
  stream INTEGER NOT NULL,
  first  INTEGER NOT NULL,
  last   INTEGER NOT NULL,
  why    TEXT NOT NULL,
  PRIMARY KEY (stream, first)) WITHOUT ROWID;

CREATE TABLE microbatch_loans(
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  stream    INTEGER NOT NULL,
  token     INTEGER NOT NULL,
  runs      BLOB NOT NULL,
  state     INTEGER NOT NULL,
  fence     INTEGER NOT NULL DEFAULT 0,
  borrower  TEXT NOT NULL DEFAULT '',
  until     INTEGER NOT NULL DEFAULT 0,
  error     TEXT NOT NULL DEFAULT '',
  transient INTEGER NOT NULL DEFAULT 0);

CREATE TABLE microbatch_windows(
  id           INTEGER PRIMARY KEY,
  stream       INTEGER NOT NULL,
  first        INTEGER NOT NULL,
  last         INTEGER NOT NULL,
  items        INTEGER NOT NULL,
  committed_at INTEGER NOT NULL);
CREATE INDEX microbatch_windows_by_stream ON microbatch_windows(stream, id);
)sql";

/// Items of text codecs one by one, for the sqlite3 shell. The table of 32-bit ends in front of a
/// body is read by its hexadecimal digits: SQL has no other way into a blob.
inline constexpr const char* items_view = R"sql(
CREATE VIEW microbatch_items AS
WITH RECURSIVE
  item(key, stream, first, items, i) AS (
    SELECT b.key, s.name, s.first, b.items, 0
      FROM microbatch_streams s JOIN microbatch_batches b
        ON b.key BETWEEN s.id << 40 AND ((s.id + 1) << 40) - 1
     WHERE s.codec IN ('text', 'json') AND b.items > 0
    UNION ALL
    SELECT key, stream, first, items, i + 1 FROM item WHERE i + 1 < items),
  digits(key, stream, first, items, i, body, e, b) AS (
    SELECT item.key, stream, first, item.items, i, body, hex(substr(body, 4 * i + 1, 4)),
           CASE i WHEN 0 THEN '00000000' ELSE hex(substr(body, 4 * i - 3, 4)) END
      FROM item JOIN microbatch_batches USING (key)),
  span(key, stream, first, items, i, body, item_begin, item_end) AS (
    SELECT key, stream, first, items, i, body,
           (instr('123456789ABCDEF', substr(b, 7, 1)) << 28) +
           (instr('123456789ABCDEF', substr(b, 8, 1)) << 24) +
           (instr('123456789ABCDEF', substr(b, 5, 1)) << 20) +
           (instr('123456789ABCDEF', substr(b, 6, 1)) << 16) +
           (instr('123456789ABCDEF', substr(b, 3, 1)) << 12) +
           (instr('123456789ABCDEF', substr(b, 4, 1)) << 8) +
           (instr('123456789ABCDEF', substr(b, 1, 1)) << 4) +
           instr('123456789ABCDEF', substr(b, 2, 1)),
           (instr('123456789ABCDEF', substr(e, 7, 1)) << 28) +
           (instr('123456789ABCDEF', substr(e, 8, 1)) << 24) +
           (instr('123456789ABCDEF', substr(e, 5, 1)) << 20) +
           (instr('123456789ABCDEF', substr(e, 6, 1)) << 16) +
           (instr('123456789ABCDEF', substr(e, 3, 1)) << 12) +
           (instr('123456789ABCDEF', substr(e, 4, 1)) << 8) +
           (instr('123456789ABCDEF', substr(e, 1, 1)) << 4) +
           instr('123456789ABCDEF', substr(e, 2, 1))
      FROM digits)
SELECT stream,
       ((span.key & 0xFFFFFFFFFF) << 20) + i AS position,
       CAST(substr(body, 4 * items + 1 + item_begin, item_end - item_begin) AS TEXT) AS item,
       (span.key & 0xFFFFFFFFFF) >= first AND CASE WHEN length(settled) > 0 THEN
           (instr('123456789ABCDEF',
                  substr(hex(substr(settled, i / 8 + 1, 1)), 2 - (i % 8) / 4, 1)) >> (i % 4)) & 1 = 0
           ELSE 1 END AS pending
  FROM span LEFT JOIN microbatch_progress p ON p.key = span.key;
)sql";

}  // namespace microbatch::inline v0_1::sqlite
