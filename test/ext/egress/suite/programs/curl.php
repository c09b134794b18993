<?php
[, $method, $url] = $argv;
$handle = curl_init($url);
curl_setopt_array($handle, [
    CURLOPT_CUSTOMREQUEST => $method,
    CURLOPT_FOLLOWLOCATION => true,
    CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_2TLS,
    CURLOPT_WRITEFUNCTION => function ($_, $chunk) {
        echo $chunk;
        return strlen($chunk);
    },
] + ($method === "POST" ? [CURLOPT_POSTFIELDS => str_repeat("x", 1048576)] : []));
if (curl_exec($handle) === false) exit(curl_error($handle));
if (curl_getinfo($handle, CURLINFO_HTTP_VERSION) === CURL_HTTP_VERSION_2_0) echo "HTTP/2";
