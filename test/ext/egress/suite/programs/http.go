// A client of net/http and of gorilla/websocket.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/gorilla/websocket"
)

func main() {
	method, url := os.Args[1], os.Args[2]
	if method == "WS" {
		speak(strings.Replace(url, "https", "wss", 1))
		return
	}
	var body io.Reader
	if method == "POST" {
		body = bytes.NewReader(make([]byte, 1<<20))
	}
	request, err := http.NewRequest(method, url, body)
	orPanic(err)
	answer, err := http.DefaultClient.Do(request)
	orPanic(err)
	io.Copy(os.Stdout, answer.Body)
	fmt.Println(answer.Proto)
}

func speak(url string) {
	socket, _, err := websocket.DefaultDialer.Dial(url, nil)
	orPanic(err)
	orPanic(socket.WriteMessage(websocket.TextMessage, []byte("hello")))
	_, message, err := socket.ReadMessage()
	orPanic(err)
	fmt.Println(string(message))
}

func orPanic(err error) {
	if err != nil {
		panic(err)
	}
}
