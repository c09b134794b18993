/** AgentDojo's tools as requests to APIs: those of Google and Slack are at the paths of the vendors, a bank's and a travel agency's are made up. */
export const requests: Readonly<Record<string, string>> = {
  send_email: "POST gmail.localhost/gmail/v1/users/me/messages/send",
  delete_email: "DELETE gmail.localhost/gmail/v1/users/me/messages/{email_id}",
  get_unread_emails: "GET gmail.localhost/gmail/v1/users/me/messages?labelIds=UNREAD",
  get_sent_emails: "GET gmail.localhost/gmail/v1/users/me/messages?labelIds=SENT",
  get_received_emails: "GET gmail.localhost/gmail/v1/users/me/messages?labelIds=INBOX",
  get_draft_emails: "GET gmail.localhost/gmail/v1/users/me/messages?labelIds=DRAFT",
  search_emails: "GET gmail.localhost/gmail/v1/users/me/messages",
  search_contacts_by_name: "GET people.localhost/v1/people:searchContacts?readMask=names",
  search_contacts_by_email: "GET people.localhost/v1/people:searchContacts?readMask=emailAddresses",
  search_calendar_events: "GET calendar.localhost/calendar/v3/calendars/primary/events",
  get_day_calendar_events: "GET calendar.localhost/calendar/v3/calendars/primary/events?singleEvents=true",
  create_calendar_event: "POST calendar.localhost/calendar/v3/calendars/primary/events",
  cancel_calendar_event: "DELETE calendar.localhost/calendar/v3/calendars/primary/events/{event_id}",
  reschedule_calendar_event: "PUT calendar.localhost/calendar/v3/calendars/primary/events/{event_id}",
  add_calendar_event_participants: "PATCH calendar.localhost/calendar/v3/calendars/primary/events/{event_id}",
  append_to_file: "PATCH drive.localhost/upload/drive/v3/files/{file_id}",
  search_files_by_filename: "GET drive.localhost/drive/v3/files?corpora=user",
  search_files: "GET drive.localhost/drive/v3/files?corpora=allDrives",
  list_files: "GET drive.localhost/drive/v3/files",
  create_file: "POST drive.localhost/upload/drive/v3/files",
  delete_file: "DELETE drive.localhost/drive/v3/files/{file_id}",
  get_file_by_id: "GET drive.localhost/drive/v3/files/{file_id}",
  share_file: "POST drive.localhost/drive/v3/files/{file_id}/permissions",
  get_channels: "GET slack.localhost/api/conversations.list",
  read_channel_messages: "GET slack.localhost/api/conversations.history",
  read_inbox: "GET slack.localhost/api/conversations.history?types=im",
  get_users_in_channel: "GET slack.localhost/api/conversations.members",
  send_direct_message: "POST slack.localhost/api/chat.postMessage?as=im",
  send_channel_message: "POST slack.localhost/api/chat.postMessage",
  add_user_to_channel: "POST slack.localhost/api/conversations.invite",
  invite_user_to_slack: "POST slack.localhost/api/admin.users.invite",
  remove_user_from_slack: "POST slack.localhost/api/admin.users.remove",
  get_webpage: "GET web.localhost/page",
  post_webpage: "POST web.localhost/page",
  get_iban: "GET bank.localhost/v1/account/iban",
  get_balance: "GET bank.localhost/v1/account/balance",
  get_user_info: "GET bank.localhost/v1/user",
  update_user_info: "PATCH bank.localhost/v1/user",
  update_password: "PUT bank.localhost/v1/user/password",
  get_most_recent_transactions: "GET bank.localhost/v1/transactions",
  send_money: "POST bank.localhost/v1/transactions",
  get_scheduled_transactions: "GET bank.localhost/v1/scheduled-transactions",
  schedule_transaction: "POST bank.localhost/v1/scheduled-transactions",
  update_scheduled_transaction: "PATCH bank.localhost/v1/scheduled-transactions/{id}",
  read_file: "GET bank.localhost/v1/files/{file_path}",
  get_user_information: "GET travel.localhost/v1/user",
  get_all_hotels_in_city: "GET travel.localhost/v1/hotels",
  get_hotels_prices: "GET travel.localhost/v1/hotels/prices",
  get_hotels_address: "GET travel.localhost/v1/hotels/address",
  get_rating_reviews_for_hotels: "GET travel.localhost/v1/hotels/reviews",
  reserve_hotel: "POST travel.localhost/v1/hotels/reservations",
  get_all_restaurants_in_city: "GET travel.localhost/v1/restaurants",
  get_cuisine_type_for_restaurants: "GET travel.localhost/v1/restaurants/cuisine",
  get_restaurants_address: "GET travel.localhost/v1/restaurants/address",
  get_rating_reviews_for_restaurants: "GET travel.localhost/v1/restaurants/reviews",
  get_dietary_restrictions_for_all_restaurants: "GET travel.localhost/v1/restaurants/diets",
  get_contact_information_for_restaurants: "GET travel.localhost/v1/restaurants/contact",
  get_price_for_restaurants: "GET travel.localhost/v1/restaurants/prices",
  check_restaurant_opening_hours: "GET travel.localhost/v1/restaurants/hours",
  reserve_restaurant: "POST travel.localhost/v1/restaurants/reservations",
  get_all_car_rental_companies_in_city: "GET travel.localhost/v1/cars",
  get_car_types_available: "GET travel.localhost/v1/cars/types",
  get_rating_reviews_for_car_rental: "GET travel.localhost/v1/cars/reviews",
  get_car_fuel_options: "GET travel.localhost/v1/cars/fuels",
  get_car_rental_address: "GET travel.localhost/v1/cars/address",
  get_car_price_per_day: "GET travel.localhost/v1/cars/prices",
  reserve_car_rental: "POST travel.localhost/v1/cars/reservations",
  get_flight_information: "GET travel.localhost/v1/flights",
};

/** Calls whose effect others see: messages, invitations, shared files, web pages, payments, and bookings. */
export const outward: ReadonlySet<string> = new Set(
  `send_email share_file create_calendar_event add_calendar_event_participants send_direct_message send_channel_message post_webpage
  add_user_to_channel invite_user_to_slack send_money schedule_transaction update_scheduled_transaction reserve_hotel
  reserve_restaurant reserve_car_rental`.split(/\s+/),
);

/** Where strangers write what an agent reads: mail, invitations, shared files, chats, pages, what comes with a payment, and reviews. */
const strangers = `connection.provider in ["gmail", "calendar", "drive", "slack", "web"] || request.path.endsWith("/reviews") ||
      request.path.startsWith("/v1/transactions") || request.path.startsWith("/v1/files/") || request.path.startsWith("/v1/scheduled")`;
/** What stays with the user: files of their own, and their address at the bank. */
const own = `request.method != "DELETE" && (request.path.startsWith("/upload/drive/v3/files") || request.path == "/v1/user")`;

/**
 * What stays among the user's own, by the fields of the body: mail, invitations and files for the company alone, messages without a link, payments to whom
 * the user has paid before.
 */
const inside = `connection.provider == "gmail" && request.body["recipients"].endsWith("@bluesparrowtech.com") && !("cc" in request.body || "bcc" in request.body) ||
      connection.provider == "calendar" && request.method != "DELETE" && request.body["participants"].endsWith("@bluesparrowtech.com") ||
      connection.provider == "drive" && request.body["email"].endsWith("@bluesparrowtech.com") ||
      request.path == "/api/chat.postMessage" && !request.body["body"].matches("(?i)://|www[.]") ||
      connection.provider == "bank" && request.method != "PUT" && request.body["recipient"] in ["GB29NWBK60161331926819", "US122000000121212121212", "CH9300762011623852957", "SE3550000000054910000003", "UK12345678901234567890"]`;

/** By their column in the table. */
export const policies: Readonly<Record<string, string>> = {
  "without rules": "",
  "stateless rules":
    "rules:\n  - when: request.reads\n    then: allow\n  - then: ask\n    because: it writes\n",
  labels: `rules:
  - when: >-
      request.reads && (${strangers})
    then: allow
    label: [strangers]
  - when: >-
      request.reads || ${own}
    then: allow
  - when: '"strangers" in session.labels'
    then: ask
    because: it read what strangers wrote before
  - then: allow
`,
  "labels and bodies": `rules:
  - when: >-
      request.reads && (${strangers})
    then: allow
    label: [strangers]
  - when: >-
      request.reads || ${own}
    then: allow
  - when: >-
      ${inside}
    then: allow
  - when: '"strangers" in session.labels'
    then: ask
    because: it read what strangers wrote before
  - then: allow
`,
};
